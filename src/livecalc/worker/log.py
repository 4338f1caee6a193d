"""The worker's log: what the model prints and a few lines of our own, passed on to standard output and kept on disk.

Both get the same bytes: the archive trusts a pod's log only when it equals the copy's digest. So nothing else in a
worker writes to standard output or standard error. Only a copy that its disk does not take ends before the other.
"""

import hashlib
import os
from pathlib import Path

_PREFIX = b"livecalc: "
_MOST_GIVEN_BACK = 64 << 20
"""Bytes of a copy that filled its disk; what the model has computed needs room too."""


class LogCopy:
    """Passes bytes on and keeps them. Beyond the limit the model's output is counted and dropped, in both places."""

    def __init__(self, path: Path, *, limit: int, stdout: int = 1) -> None:
        """Begin an empty copy; `limit` is in bytes of the model's output, `stdout` a file descriptor."""
        self.path = path
        self.size = 0
        """Bytes of the copy, our own lines counted."""
        self.refused = ""
        """Why the disk did not take all of the copy; empty when it did."""
        self._limit = limit
        self._printed = 0
        self._stdout: int | None = stdout
        self._file = path.open("x+b", buffering=0)
        self._digest = hashlib.sha256()
        self._fresh_line = True

    @property
    def sha256(self) -> str:
        """Of the copy so far, hex."""
        return self._digest.hexdigest()

    @property
    def truncated(self) -> bool:
        """Whether the copy is not all that was printed: over the limit, or over what the disk takes."""
        return self._printed > self._limit or bool(self.refused)

    def pass_on(self, data: bytes) -> None:
        """Take what the model printed."""
        room = self._limit - self._printed
        self._printed += len(data)
        if room > 0:
            self._write(data[:room])
        if 0 <= room < len(data):
            self.say(f"the log is cut here, at its limit of {self._limit:,} bytes; the model goes on")

    def say(self, text: str) -> None:
        """Write a line of our own, on a line of its own."""
        self._write(_line(text, fresh=self._fresh_line))

    def give_way(self, why: str) -> bool:
        """Make room on the disk: give up the end of the copy, and keep no more. False when there is none to give up."""
        left = max(self.size // 2, self.size - _MOST_GIVEN_BACK)
        given = self.size - left
        self.refused = self.refused or why
        self.size = left
        os.ftruncate(self._file.fileno(), left)
        return given > 0

    def close(self) -> None:
        """End the copy: the last line says so when it was cut, and nothing is written afterwards."""
        if self._printed > self._limit:
            self.say(f"the log was cut: the model printed {self._printed:,} bytes, the first {self._limit:,} are kept")
        with self._file:
            if self.refused:
                self._end_early()

    def _write(self, data: bytes) -> None:
        if not data:
            return
        self._fresh_line = data.endswith(b"\n")
        if self._stdout is not None:
            try:
                _write_all(self._stdout, data)
            except OSError:  # nobody reads it any more, or its disk is full: the copy goes on
                self._stdout = None
        if self.refused:
            return
        try:
            _write_all(self._file.fileno(), data)
        except OSError as error:
            self.size = os.fstat(self._file.fileno()).st_size
            self.give_way(error.strerror or str(error))
            return
        self.size += len(data)
        self._digest.update(data)

    def _end_early(self) -> None:
        """Say in the copy why it ends, if there is room for that, and digest what it is now."""
        descriptor = self._file.fileno()
        try:
            os.lseek(descriptor, 0, os.SEEK_END)
            _write_all(descriptor, _line(f"the copy of the log ends here: {self.refused}", fresh=not self.size))
        except OSError:
            os.ftruncate(descriptor, self.size)
        self._file.seek(0)
        self._digest = hashlib.file_digest(self._file, "sha256")  # type: ignore[assignment]  (the same kind of object)
        self.size = os.fstat(descriptor).st_size


def _line(text: str, *, fresh: bool) -> bytes:
    lead = b"" if fresh else b"\n"
    return lead + _PREFIX + " ".join(text.split()).encode(errors="backslashreplace") + b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
