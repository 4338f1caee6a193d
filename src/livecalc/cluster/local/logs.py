"""A pod's log as a kubelet keeps it: files of a bounded size, of which only the newest is ever served."""

import os
import threading
from pathlib import Path

_CHUNK = 1 << 18


class LogFile:
    """Where a node writes what a pod prints."""

    def __init__(self, path: Path, limit: int, files: int) -> None:
        self._path = path
        self._limit = max(limit, 1)
        self._files = max(files, 1)
        self._size = 0
        self._file = self._open()
        self.lost = 0
        """Bytes that the disk did not take."""

    def write(self, data: bytes) -> None:
        """Append, beginning a new file where the present one is full. What the disk does not take is counted."""
        rest = memoryview(data)
        while rest:
            if self._size >= self._limit:
                self._rotate()
            part = rest[: self._limit - self._size]
            try:
                written = os.write(self._file, part)
            except OSError:
                self.lost += len(rest)
                return
            self._size += written
            rest = rest[written:]

    def close(self) -> None:
        """Finish."""
        os.close(self._file)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)

    def _rotate(self) -> None:
        os.close(self._file)
        for number in range(self._files - 2, 0, -1):
            older = self._rotated(number)
            if older.exists():
                older.rename(self._rotated(number + 1))
        if self._files > 1:
            self._path.rename(self._rotated(1))
        self._file = self._open()
        self._size = 0

    def _rotated(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class LogReader:
    """The newest file of a log: as it is now, or followed over rotations as far as the node does not outrun it."""

    def __init__(self, path: Path, *, follow: bool) -> None:
        """Open it. Raises FileNotFoundError."""
        self._path = path
        self._file = path.open("rb", buffering=0)
        # Without an end, a reader would chase a pod that prints as fast as it reads.
        self._left = None if follow else os.fstat(self._file.fileno()).st_size
        self._busy = threading.Lock()

    def read(self) -> bytes:
        """The next chunk; empty when there is none now."""
        with self._busy:
            if self._left is not None:
                data = self._file.read(min(_CHUNK, self._left)) or b""
                self._left -= len(data)
                if self._left == 0:
                    self._file.close()
                return data
            # Asked before reading: what was written up to a rotation is then read before the file is changed.
            rotated = self._was_rotated()
            return self._file.read(_CHUNK) or (self._read_next_file() if rotated else b"")

    @property
    def is_at_end(self) -> bool:
        """Whether nothing more will come; never while it follows."""
        return self._left == 0

    def close(self) -> None:
        """Let go of the file, after a read that is still going on in another thread."""
        with self._busy:
            self._file.close()

    def _read_next_file(self) -> bytes:
        try:
            following = self._path.open("rb", buffering=0)
        except FileNotFoundError:
            return b""
        self._file.close()
        self._file = following
        return self._file.read(_CHUNK) or b""

    def _was_rotated(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)


def begin_log(path: Path, *, follow: bool) -> tuple[LogReader, bytes]:
    """Open a log and read its first chunk. Raises FileNotFoundError."""
    reader = LogReader(path, follow=follow)
    try:
        return reader, reader.read()
    except BaseException:
        reader.close()
        raise
