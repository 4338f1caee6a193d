"""Say on standard error that a command still waits, and for what, so that nobody takes it for hung."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from livecalc.cli.format import plain
from livecalc.cli.output import note

_FIRST_SECONDS = 5.0
_NEXT_SECONDS = 20.0


@contextmanager
def waiting_for(
    what: str, *, first: float = _FIRST_SECONDS, following: float = _NEXT_SECONDS
) -> Generator[Callable[[], None]]:
    """Say that `what` is waited for when nothing has come for `first` seconds, and again all `following` ones.

    The block calls what it is given whenever something comes.
    """
    stirred, over = threading.Event(), threading.Event()

    def watch() -> None:
        silent = 0.0
        while not over.is_set():
            wait = following if silent else first
            if stirred.wait(wait):
                stirred.clear()
                silent = 0.0
                continue
            silent += wait
            note(f"Waiting for {plain(what)}: nothing has come for {silent:.0f} s; Ctrl-C ends the wait")

    watcher = threading.Thread(target=watch, name="silence", daemon=True)
    watcher.start()
    try:
        yield stirred.set
    finally:
        over.set()
        stirred.set()
        watcher.join()
