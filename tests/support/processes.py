"""Look at the machine's real processes."""

import os
import time
from collections.abc import Callable
from pathlib import Path


def processes_with(mark: str) -> list[int]:
    """Running processes, not this one, whose command line or environment holds a text."""
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            try:
                seen = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            except OSError:  # it has ended since
                continue
            if mark.encode() in seen:
                found.append(int(folder.name))
    return found


def until(condition: Callable[[], object], within: float = 20.0) -> None:
    """Wait until a condition holds, and fail loudly when it does not in time."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"{condition} did not hold within {within:g} s"
        time.sleep(0.01)
