"""Run one partition in an engine's process, as its parent: hand out its output, hear its progress, outlive its end.

Light: nothing of NumPy is imported here. Whatever happens, no process of the model is left when `Engine` is closed.
"""

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec

from livecalc.domain.modelconfig import Config
from livecalc.domain.timestamps import format_timestamp
from livecalc.pipeline.hearing import Hearing
from livecalc.pipeline.interrupt import Interrupt
from livecalc.pipeline.messages import Order, encode
from livecalc.pipeline.outcome import Outcome

_CHUNK = 1 << 20
_F_SETPIPE_SZ = 1031
_GRACE_SECONDS = 10.0
"""How long an engine may take to end its model once it is told to."""
_PATIENCE_SECONDS = 1.0
"""How often the process itself is looked at, should its pipes be held open by something that escaped."""
_KEPT = (
    "PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "TZ",
    "NPY_DISABLE_CPU_FEATURES",
    "OPENBLAS_CORETYPE",
    "LIVECALC_POD_UID",
)
"""The pod's uid is how the local cluster finds what a killed pod has left."""
_FIXED = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "PYTHONUTF8": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "LANG": "C.UTF-8",
}


def _ignore(_: object) -> None:
    """Take what a caller does not want to know."""


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
    the scenarios done so far, `on_output` what the model prints. Blocks until nothing of the model runs any more.
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
    with Engine(scratch) as engine:
        return engine.run(order, on_progress=on_progress, on_output=on_output, interrupt=interrupt)


class Engine:
    """An engine's process, for one order. Starting it early lets it import NumPy while a bundle is on its way."""

    def __init__(self, scratch: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        order, self._order = os.pipe()
        self._control, control = os.pipe()
        self._output, output = os.pipe()
        try:
            self._process = _start(scratch, order, control, output)
        finally:
            for descriptor in (order, control, output):
                os.close(descriptor)
        for descriptor in (self._control, self._output):
            os.set_blocking(descriptor, False)
        self._stopping_since: float | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self,
        order: Order,
        *,
        on_progress: Callable[[int], None] = _ignore,
        on_output: Callable[[bytes], None] = _ignore,
        interrupt: Interrupt | None = None,
    ) -> Outcome:
        """Compute an order; see `run_partition`. Once only."""
        started_at = format_timestamp(self._now())
        hearing = Hearing(on_progress)
        self._send(order)
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._output, selectors.EVENT_READ)
            if interrupt is not None:
                selector.register(interrupt.fd, selectors.EVENT_READ)
            self._attend(selector, hearing, on_output)
        while data := _read(self._output):
            on_output(data)
        if self._overdue():
            self._process.kill()
        outcome = hearing.outcome(asked=self._stopping_since is not None)
        return msgspec.structs.replace(outcome, started_at=started_at, finished_at=format_timestamp(self._now()))

    def close(self) -> None:
        """End the engine and all below it, if it still runs."""
        if self._closed:
            return
        self._closed = True
        self._stop()
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._control)
        os.close(self._output)

    def _send(self, order: Order) -> None:
        path = Path(order.scratch, "order.json")
        path.write_bytes(encode(order))
        with suppress(BrokenPipeError):  # it has ended already; the control pipe will tell
            os.write(self._order, os.fsencode(path) + b"\n")

    def _attend(self, selector: selectors.BaseSelector, hearing: Hearing, on_output: Callable[[bytes], None]) -> None:
        """Hear and pass on until the engine has ended, or does not end in spite of being told to."""
        while not hearing.ended and not self._overdue():
            for key, _ in selector.select(_PATIENCE_SECONDS):
                if key.fd not in (self._control, self._output):
                    selector.unregister(key.fd)
                    self._stop()
                    continue
                data = _read(key.fd)
                if data == b"" and key.fd == self._control:
                    return
                if data == b"":
                    selector.unregister(key.fd)
                elif data and key.fd == self._control:
                    hearing.feed(data)
                elif data:
                    on_output(data)
            if self._process.poll() is not None:
                while data := _read(self._control):
                    hearing.feed(data)
                return

    def _overdue(self) -> bool:
        since = self._stopping_since
        return since is not None and time.monotonic() - since > _GRACE_SECONDS

    def _stop(self) -> None:
        """Close the order's pipe: the guard takes it as the end of whoever gave the order."""
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            os.close(self._order)


def _start(scratch: Path, order: int, control: int, output: int) -> "subprocess.Popen[bytes]":
    with suppress(OSError, ImportError):  # a wide pipe takes a model's output with fewer turns; Linux only
        import fcntl

        fcntl.fcntl(output, _F_SETPIPE_SZ, _CHUNK)
    return subprocess.Popen(  # noqa: S603  (our own module, no shell)
        [sys.executable, "-P", "-m", "livecalc.pipeline.engine", str(order), str(control)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=(order, control),
        start_new_session=True,
        cwd=scratch,
        env=_engine_environment(scratch),
    )


def _engine_environment(scratch: Path) -> dict[str, str]:
    """Little of ours: neither grants nor settings are the model's business, and its bits must not depend on more."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, **_FIXED, "HOME": str(scratch), "TMPDIR": str(scratch)}


def _read(descriptor: int) -> bytes | None:
    """Read what is there: None when nothing is, b"" at the end."""
    try:
        return os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return None
