"""The worker: start the engine, then do the session. It is handed everything it needs and knows no other bucket."""

import signal
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from livecalc.pipeline.interrupt import Interrupt
from livecalc.pipeline.process import EngineProcess

if TYPE_CHECKING:
    from livecalc.blobs.port import GrantClient


def run_worker(  # noqa: PLR0913  (each is a part of the pod, named once in bootstrap)
    grants: "Callable[[str], GrantClient]",
    *,
    task_url: str,
    index: int,
    attempt: int,
    scratch: Path,
    termination_file: Path,
    heartbeat: Callable[[], None],
    annotate: Callable[[Mapping[str, str]], None],
    image: str,
) -> int:
    """Compute partition `index` of the task behind a URL, and return the exit status of the pod.

    0 done; 10, 11, 12 final (the model, a violation, the bundle); 143 after SIGTERM; 1 anything else, to be tried
    again. `grants` gives the client of a URL. `heartbeat` and `annotate` are called from a thread and may fail.
    Standard output becomes the pod's log. The engine starts before the rest of the worker is imported.
    """
    folder = Path(mkdtemp(prefix="worker-", dir=scratch))
    engine_folder = folder / "engine"
    engine_folder.mkdir()
    with EngineProcess(engine_folder) as engine, _interrupted_by_sigterm() as interrupt:
        from livecalc.worker.reporter import Reporter
        from livecalc.worker.session import Session

        session = Session(
            grants=grants,
            index=index,
            attempt=attempt,
            folder=folder,
            termination_file=termination_file,
            image=image,
            engine=engine,
            interrupt=interrupt,
            reporter=Reporter(heartbeat=heartbeat, annotate=annotate),
        )
        return session.run(task_url)


@contextmanager
def _interrupted_by_sigterm() -> Generator[Interrupt]:
    """Turn SIGTERM into a wish; a thread that may not handle signals leaves them alone."""
    interrupt = Interrupt()
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, lambda *_: interrupt.set()) if main else None
    try:
        yield interrupt
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
        interrupt.close()
