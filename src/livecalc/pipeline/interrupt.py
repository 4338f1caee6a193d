"""A wish to stop, that a signal handler can express and a waiting loop can see. Light."""

import os
from contextlib import suppress


class Interrupt:
    """Set once, by anyone. `fd` is readable from then on."""

    def __init__(self) -> None:
        self.fd, self._bell = os.pipe()
        os.set_blocking(self._bell, False)
        self.is_set = False

    def set(self) -> None:
        """Ask to stop; safe in a signal handler."""
        self.is_set = True
        with suppress(BlockingIOError):
            os.write(self._bell, b"!")

    def close(self) -> None:
        """Let go of the pipe."""
        os.close(self.fd)
        os.close(self._bell)
