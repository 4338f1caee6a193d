"""Lines with the time since the start, on standard error."""

import sys
import time

_STARTED = time.monotonic()


def say(what: str) -> None:
    """Tell a person what has been reached."""
    sys.stderr.write(f"{time.monotonic() - _STARTED:6.1f} s  {what}\n")
