"""The engine's process as its parent holds it: started, reachable by three pipes, ended for certain.

Light on purpose: a worker starts it before it imports anything else, so that NumPy is imported meanwhile.
"""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

CHUNK = 1 << 20
_F_SETPIPE_SZ = 1031
_GRACE_SECONDS = 10.0
"""How long an engine may take to end its model once it is told to."""
_KEPT = (
    "PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "NPY_DISABLE_CPU_FEATURES",
    "OPENBLAS_CORETYPE",
    "LIVECALC_POD_UID",
)
"""The pod's uid is how the local cluster finds what a killed pod has left."""
_FIXED = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "PYTHONUTF8": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
}


class EngineProcess:
    """An engine that imports NumPy and waits for an order. A context manager; nothing of it outlives `close`."""

    def __init__(self, scratch: Path) -> None:
        """Start it; `scratch` is its working, home and temporary folder, and exists."""
        order, self._order = os.pipe()
        self.control, control = os.pipe()
        self.output, output = os.pipe()
        try:
            self._process = _start(scratch, order, control, output)
        finally:
            for descriptor in (order, control, output):
                os.close(descriptor)
        for descriptor in (self.control, self.output):
            os.set_blocking(descriptor, False)
        self._stopped_at: float | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopped_at is not None

    @property
    def overdue(self) -> bool:
        """Whether it was told to stop and has not in time."""
        return self._stopped_at is not None and time.monotonic() - self._stopped_at > _GRACE_SECONDS

    @property
    def gone(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def send(self, path: Path) -> None:
        """Name the file with its order; one order is all it takes."""
        with suppress(BrokenPipeError):  # it has ended already; the control pipe tells
            os.write(self._order, os.fsencode(path) + b"\n")

    def stop(self) -> None:
        """Close the order's pipe: the guard takes it as the end of whoever gave the order, and ends the model."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            os.close(self._order)

    def close(self) -> None:
        """End the engine and all below it, if it still runs, and let go of the pipes."""
        if self._closed:
            return
        self._closed = True
        self.stop()
        try:
            self._process.wait(0 if self.overdue else _GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self.control)
        os.close(self.output)


def _start(scratch: Path, order: int, control: int, output: int) -> "subprocess.Popen[bytes]":
    with suppress(OSError, ImportError):  # a wide pipe takes a model's output with fewer turns; Linux only
        import fcntl

        fcntl.fcntl(output, _F_SETPIPE_SZ, CHUNK)
    return subprocess.Popen(  # noqa: S603  (our own module, no shell)
        [sys.executable, "-P", "-m", "livecalc.pipeline.engine", str(order), str(control)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=(order, control),
        start_new_session=True,
        cwd=scratch,
        env=_environment(scratch),
    )


def _environment(scratch: Path) -> dict[str, str]:
    """Little of ours: neither grants nor settings are the model's business, and its bits must not depend on more."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, **_FIXED, "HOME": str(scratch), "TMPDIR": str(scratch)}
