"""The worker's log: what the model prints and a few lines of our own, passed on to standard output and kept on disk.

Both get the same bytes, always: the archive trusts a pod's log only when it equals the copy's digest. So nothing
else in a worker writes to standard output or standard error.
"""

import hashlib
import os
from pathlib import Path

_PREFIX = b"livecalc: "


class LogCopy:
    """Passes bytes on and keeps them. Beyond the limit the model's output is counted and dropped, in both places."""

    def __init__(self, path: Path, *, limit: int, stdout: int = 1) -> None:
        """Begin an empty copy; `limit` is in bytes of the model's output, `stdout` a file descriptor."""
        self.path = path
        self.size = 0
        """Bytes of the copy, our own lines counted."""
        self._limit = limit
        self._printed = 0
        self._stdout: int | None = stdout
        self._file = path.open("xb", buffering=0)
        self._digest = hashlib.sha256()
        self._fresh_line = True

    @property
    def sha256(self) -> str:
        """Of the copy so far, hex."""
        return self._digest.hexdigest()

    @property
    def truncated(self) -> bool:
        """Whether the model printed more than the limit."""
        return self._printed > self._limit

    def pass_on(self, data: bytes) -> None:
        """Take what the model printed. Raises OSError when the disk is full."""
        room = self._limit - self._printed
        self._printed += len(data)
        if room > 0:
            self._write(data[:room])
        if 0 <= room < len(data):
            self.say(f"the log is cut here, at its limit of {self._limit:,} bytes; the model goes on")

    def say(self, text: str) -> None:
        """Write a line of our own, on a line of its own. Raises OSError when the disk is full."""
        lead = b"" if self._fresh_line else b"\n"
        line = " ".join(text.split()).encode(errors="backslashreplace")
        self._write(lead + _PREFIX + line + b"\n")

    def close(self) -> None:
        """End the copy: the last line says so when it was cut, and nothing is written afterwards."""
        if self.truncated:
            self.say(f"the log was cut: the model printed {self._printed:,} bytes, the first {self._limit:,} are kept")
        self._file.close()

    def _write(self, data: bytes) -> None:
        if not data:
            return
        self._fresh_line = data.endswith(b"\n")
        self.size += len(data)
        self._digest.update(data)
        if self._stdout is not None:
            try:
                _write_all(self._stdout, data)
            except OSError:  # nobody reads it any more, or its disk is full: the copy goes on
                self._stdout = None
        _write_all(self._file.fileno(), data)


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
