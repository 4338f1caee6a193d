"""The cluster's clock: the machine's, not the process's, so that a client under a shifted clock cannot reap by it."""

import sys
import time
from pathlib import Path

_TOLERANCE = 5.0
_boot: float | None = None


def cluster_time() -> float:
    """Seconds since 1970 by the kernel's clock.

    The process's own clock is used while the kernel's agrees within seconds (what the kernel shows under /proc is only
    that exact). A process whose clock is shifted (libfaketime, a preloaded shim) gets the kernel's.
    """
    global _boot  # noqa: PLW0603  (the boot time is a fact of the machine; read once, and again when in doubt)
    own = time.time()
    if sys.platform != "linux":
        return own
    if _boot is not None and abs(own - _boot - _uptime()) < _TOLERANCE:
        return own
    _boot = _boot_time()
    kernel = _boot + _uptime()
    return own if abs(own - kernel) < _TOLERANCE else kernel


def _uptime() -> float:
    """Seconds since boot, time asleep included (proc(5))."""
    return float(Path("/proc/uptime").read_bytes().split()[0])


def _boot_time() -> float:
    """When the machine started, by the clock it has now; whole seconds (proc(5), `btime`)."""
    for line in Path("/proc/stat").read_bytes().splitlines():
        if line.startswith(b"btime "):
            return float(line.split()[1])
    return time.time() - _uptime()
