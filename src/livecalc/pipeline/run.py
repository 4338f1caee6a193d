"""Run one partition in an engine's process, as its parent: hand out its output, hear its progress, outlive its end.

Light: nothing of NumPy is imported here. Whatever happens, no process of the model is left afterwards.
"""

import os
import selectors
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from livecalc.domain.modelconfig import Config
from livecalc.domain.timestamps import format_timestamp
from livecalc.pipeline.hearing import Hearing
from livecalc.pipeline.interrupt import Interrupt
from livecalc.pipeline.messages import Order, encode
from livecalc.pipeline.outcome import Outcome
from livecalc.pipeline.process import CHUNK, EngineProcess

_PATIENCE_SECONDS = 1.0
"""How often the process itself is looked at, should its pipes be held open by something that escaped."""


def _ignore(_: object) -> None:
    """Take what a caller does not want to know."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def run_partition(  # noqa: PLR0913  (the folder, the range, and options)
    folder: Path,
    config: Config,
    first: int,
    stop: int,
    *,
    scratch: Path,
    memory: int | None = None,
    image: str = "",
    on_progress: Callable[[int], None] = _ignore,
    on_output: Callable[[bytes], None] = _ignore,
    interrupt: Interrupt | None = None,
) -> Outcome:
    """Compute scenarios `first` to `stop` (exclusive, `first` on a block's edge) of the bundle opened in `folder`.

    `scratch` is an empty folder that exists; result files are left there. `memory` is in bytes. `on_progress` gets
    the scenarios done so far, `on_output` what the model prints. Blocks until nothing of the model runs any more;
    whatever a callback raises ends the model and is raised again.
    """
    order = Order(
        folder=str(folder.resolve()),
        config=config,
        first=first,
        stop=stop,
        scratch=str(scratch.resolve()),
        memory=memory,
        image=image,
    )
    with EngineProcess(scratch) as process:
        return run_order(process, order, on_progress=on_progress, on_output=on_output, interrupt=interrupt)


def run_order(  # noqa: PLR0913  (the process, the order, and options)
    process: EngineProcess,
    order: Order,
    *,
    on_progress: Callable[[int], None] = _ignore,
    on_output: Callable[[bytes], None] = _ignore,
    interrupt: Interrupt | None = None,
    now: Callable[[], datetime] = _utc_now,
) -> Outcome:
    """Compute an order in a process that was started before; see `run_partition`. Raises OSError (no order file)."""
    started_at = format_timestamp(now())
    hearing = Hearing(on_progress)
    path = Path(order.scratch, "order.json")
    path.write_bytes(encode(order))
    process.send(path)
    with selectors.DefaultSelector() as selector:
        for descriptor in (process.control, process.output):
            selector.register(descriptor, selectors.EVENT_READ)
        if interrupt is not None:
            selector.register(interrupt.fd, selectors.EVENT_READ)
        _attend(process, selector, hearing, on_output)
    while data := _read(process.output):
        on_output(data)
    outcome = hearing.outcome(asked=process.stopping)
    return msgspec.structs.replace(outcome, started_at=started_at, finished_at=format_timestamp(now()))


def _attend(
    process: EngineProcess, selector: selectors.BaseSelector, hearing: Hearing, on_output: Callable[[bytes], None]
) -> None:
    """Hear and pass on until the engine has ended, or does not end in spite of being told to."""
    while not hearing.ended and not process.overdue:
        gone = process.gone  # before reading: what it wrote last is then there to be read
        for key, _ in selector.select(0 if gone else _PATIENCE_SECONDS):
            if key.fd not in (process.control, process.output):
                selector.unregister(key.fd)
                process.stop()
                continue
            data = _read(key.fd)
            if data and key.fd == process.control:
                hearing.feed(data)
            elif data:
                on_output(data)
            elif data == b"":
                selector.unregister(key.fd)
        if gone and not selector.select(0):
            return


def _read(descriptor: int) -> bytes | None:
    """Read what is there: None when nothing is, b"" at the end."""
    try:
        return os.read(descriptor, CHUNK)
    except BlockingIOError:
        return None
