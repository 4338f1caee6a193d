"""Folders below a root, entered one segment at a time: whatever a name or a link says, nothing outside is reached."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from livecalc.domain.errors import Damaged, Unavailable

META = ".meta"
TEMPORARY = ".tmp"
LOCKS = ".locks"
KEYS = ".keys"

_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER = _ROOT | os.O_NOFOLLOW
_LOCK_SECONDS = 30.0
_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def folder(root: Path, segments: Sequence[str], *, make: bool = False) -> Generator[int]:
    """Open a folder below the root; `make` makes what is missing, readable by its owner alone.

    Raises FileNotFoundError, NotADirectoryError (a segment is a file) and Damaged (a segment is a link).
    """
    if make:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(root, _ROOT)
    try:
        for segment in segments:
            below = _enter(fd, segment, make=make)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _enter(fd: int, segment: str, *, make: bool) -> int:
    if make:
        with suppress(FileExistsError):
            os.mkdir(segment, 0o700, dir_fd=fd)
            os.fsync(fd)
    try:
        return os.open(segment, _FOLDER, dir_fd=fd)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(segment, dir_fd=fd, follow_symlinks=False).st_mode):
            raise _is_link(segment) from None
        raise


def open_file(fd: int, leaf: str) -> int:
    """Open a file of a folder for reading. Raises FileNotFoundError, IsADirectoryError and Damaged (no plain file)."""
    try:
        file = os.open(leaf, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _is_link(leaf) from None
        raise
    mode = os.fstat(file).st_mode
    if stat.S_ISREG(mode):
        return file
    os.close(file)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), leaf)
    raise Damaged(f"{leaf!r} in the blob store is no plain file: move it out of the store's folder")


def _is_link(segment: str) -> Damaged:
    return Damaged(f"{segment!r} in the blob store is a link, and the store follows none: replace it by what it names")


def names_in(fd: int) -> list[str]:
    """Name what is in a folder."""
    with os.scandir(fd) as scan:
        return [item.name for item in scan]


def remove_empty(fd: int, name: str) -> None:
    """Remove a folder that holds nothing but empty folders; anything else stays as it is."""
    with suppress(OSError):
        below = os.open(name, _FOLDER, dir_fd=fd)
        try:
            for child in names_in(below):
                remove_empty(below, child)
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=fd)


def prune(root: Path, segments: Sequence[str], *, keep: int) -> None:
    """Remove empty folders from the deepest up, but never the first `keep` segments."""
    for end in range(len(segments), keep, -1):
        try:
            with folder(root, segments[: end - 1]) as fd:
                os.rmdir(segments[end - 1], dir_fd=fd)
        except OSError:
            return


@contextmanager
def locked(root: Path, container: str) -> Generator[None]:
    """Hold a container's lock, which dies with the process. Raises Unavailable after 30 s."""
    with folder(root, (LOCKS,), make=True) as fd:
        lock = os.open(container, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=fd)
    try:
        _wait_for_lock(lock, f"{root}/{container}")
        yield
    finally:
        os.close(lock)


def _wait_for_lock(lock: int, what: str) -> None:
    end = time.monotonic() + _LOCK_SECONDS
    pause = 0.0005
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                msg = (
                    f"another process has held the lock of {what} for {_LOCK_SECONDS:g} s: see what it does, or end it"
                )
                raise Unavailable(msg) from None
            time.sleep(pause)
            pause = min(pause * 2, 0.01)
        else:
            return


@contextmanager
def reported(root: Path, doing: str) -> Generator[None]:
    """Turn what the operating system says into Unavailable, one sentence for people."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"blob store {root}: cannot {doing}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    if error.errno in _FULL:
        return "the disk is full, so nothing was stored; make room and try again"
    if error.errno in _REFUSED:
        return f"{error.strerror}; the folder must be writable for this user, on a file system with hard links"
    return error.strerror or str(error)
