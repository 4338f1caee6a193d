"""The worker: start the engine, then do the session. It is handed everything it needs and knows no other bucket."""

import os
import signal
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
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
    folder = scratch.absolute() / f"worker-{os.urandom(8).hex()}"
    engine_folder = folder / "engine"
    engine_folder.mkdir(mode=0o700, parents=True)
    with _cleared(folder), _interrupted_by_sigterm() as interrupt, EngineProcess(engine_folder) as engine:
        from livecalc.worker.pod import Pod
        from livecalc.worker.reporter import Reporter
        from livecalc.worker.session import run_session

        pod = Pod(index=index, attempt=attempt, folder=folder, termination_file=termination_file, image=image)
        with Reporter(heartbeat=heartbeat, annotate=annotate) as reporter:
            return run_session(pod, grants, task_url, engine=engine, interrupt=interrupt, reporter=reporter)


@contextmanager
def _cleared(folder: Path) -> Generator[None]:
    """Remove the worker's folder at the end: a pod's scratch may outlive the pod by a while."""
    try:
        yield
    finally:
        from shutil import rmtree

        rmtree(folder, ignore_errors=True)  # a model may have left what cannot be removed; the pod's end will


@contextmanager
def _interrupted_by_sigterm() -> Generator[Interrupt]:
    """Turn SIGTERM into a wish, and ignore it once all is done; a thread that may not handle signals leaves them alone.

    What the worker stated stands from then on: a signal that comes while the process leaves must not give it another
    exit status.
    """
    interrupt = Interrupt()

    def ask(_number: int, _frame: object) -> None:
        interrupt.set()

    main = threading.current_thread() is threading.main_thread()
    if main:
        signal.signal(signal.SIGTERM, ask)
    try:
        yield interrupt
    finally:
        if main:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        interrupt.close()
