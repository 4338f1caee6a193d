"""Folders for what must be a file for a while, such as a copy of a blob. Nothing in them is kept.

A process that is killed cannot remove its folder; the next process that needs one does, because the lock is free.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

_PREFIX = "livecalc-scratch-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_swept: set[str] = set()
"""The places where this process has looked for what killed ones left."""


@asynccontextmanager
async def scratch_folder() -> AsyncGenerator[Path]:
    """Have a folder while the block lasts, made and removed off the loop. Raises OSError."""
    from anyio import CancelScope, to_thread

    folder = await to_thread.run_sync(_Scratch)
    try:
        yield folder.path
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(folder.remove)


@contextmanager
def plain_scratch_folder() -> Generator[Path]:
    """The same where there is no loop."""
    folder = _Scratch()
    try:
        yield folder.path
    finally:
        folder.remove()


class _Scratch:
    """A folder whose lock tells that its process lives."""

    def __init__(self) -> None:
        place = tempfile.gettempdir()
        if place not in _swept:
            _swept.add(place)
            _sweep(Path(place))
        self.path, self._lock = _make()

    def remove(self) -> None:
        try:
            shutil.rmtree(self.path)
        finally:
            os.close(self._lock)


def _make() -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # A sweep may come between creation and lock, and take the folder away.
        with suppress(FileNotFoundError):
            lock = os.open(path, _FOLDER)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return path, lock
            os.close(lock)


def _sweep(place: Path) -> None:
    for path in place.glob(f"{_PREFIX}*"):
        # Another user's, in use, or just removed by its owner: none of them is ours to remove.
        with suppress(OSError):
            _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    lock = os.open(path, _FOLDER)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_uid == os.geteuid():
            shutil.rmtree(path)
    finally:
        os.close(lock)
