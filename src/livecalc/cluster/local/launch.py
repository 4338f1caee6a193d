"""Starting the one node of a home: on demand, detached from whoever asks, and never two."""

import contextlib
import fcntl
import os
import select
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

from livecalc.cluster.local.environment import clean_environment
from livecalc.cluster.local.home import Home, explain_os_error
from livecalc.cluster.local.settings import NodeSettings
from livecalc.domain.errors import Unavailable

_ATTEMPTS = 3
_PATIENCE = 60.0
_LOG_LIMIT = 1 << 20


def ring(home: Home) -> None:
    """Tell the node that there is something new; no node hears nothing."""
    with contextlib.suppress(OSError):
        bell = os.open(home.bell, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(bell, b"!")
        finally:
            os.close(bell)


def node_runs(home: Home) -> bool:
    """Tell whether a node holds the home's lock."""
    try:
        lock = os.open(home.node_lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that those who only ask do not take each other for a node.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        # Not left to close(): a child that another thread is just forking may hold a copy.
        fcntl.flock(lock, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def ensure_node(home: Home, settings: NodeSettings) -> None:
    """Have a node run; call it after the work for it is committed. Raises Unavailable."""
    try:
        if node_runs(home):
            return
        with _only_launcher(home):
            for _ in range(_ATTEMPTS):
                if node_runs(home) or _launch(home, settings):
                    return
    except OSError as error:
        raise explain_os_error(error, home.root) from error
    raise Unavailable(
        f"the node process of {home.root} does not start ({home.node_log} says why); "
        "what was asked for is kept, and goes on when one does",
    )


def _launch(home: Home, settings: NodeSettings) -> bool:
    """Start the node and wait until it has the lock and the database; False when that did not come to pass."""
    command = [sys.executable, "-P", "-m", "livecalc.cluster.local.node", str(home.root), settings.encode()]
    with _node_log(home.node_log) as log:
        process = subprocess.Popen(  # noqa: S603  (this interpreter, our module)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd="/",
            env=clean_environment(),
            start_new_session=True,
        )
    if not _ends_within(process.pid, _PATIENCE):
        process.kill()
    return process.wait() == 0


def _ends_within(pid: int, seconds: float) -> bool:
    """Wait for a child; Popen.wait with a timeout polls and would double the time until the first pod starts."""
    if sys.platform != "linux":
        return True
    handle = os.pidfd_open(pid)
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


@contextlib.contextmanager
def _only_launcher(home: Home) -> Generator[None]:
    """Wait until nobody else is launching; if one was killed at it, the next goes on."""
    lock = os.open(home.launch_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        fcntl.flock(lock, fcntl.LOCK_UN)
    finally:
        os.close(lock)


@contextlib.contextmanager
def _node_log(path: Path) -> Generator[int]:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if os.fstat(log).st_size > _LOG_LIMIT:
            os.ftruncate(log, 0)
        yield log
    finally:
        os.close(log)
