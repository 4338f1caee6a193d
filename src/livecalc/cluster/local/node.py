"""The node process of a home: detaches from whoever started it, takes the home's lock, and loops until it is idle."""

import fcntl
import os
import sys
import time
from pathlib import Path

from livecalc.cluster.local.home import Home
from livecalc.cluster.local.loop import Node, note
from livecalc.cluster.local.pods import adopt_orphans
from livecalc.cluster.local.settings import NodeSettings
from livecalc.domain.errors import LivecalcError

_LOCK_ATTEMPTS = 40
_LOCK_PAUSE = 0.005


def main() -> None:
    """Detach, tell the launcher by the exit status whether a node runs, and be that node.

    The launcher has made this process the leader of a session of its own; the child is not, and its parent ends.
    """
    home, settings = Home(Path(sys.argv[1])), NodeSettings.decode(sys.argv[2])
    heard, ready = os.pipe()
    if os.fork():
        os.close(ready)
        os._exit(0 if os.read(heard, 1) else 1)
    os.close(heard)
    adopt_orphans()
    try:
        serve(home, settings, ready)
    except LivecalcError as error:
        note(error.detail)
        sys.exit(1)


def serve(home: Home, settings: NodeSettings, ready: int) -> None:
    """Be the node of a home, unless it has one. `ready` hears when one runs. Raises LivecalcError, OSError."""
    home.prepare()
    lock = take_lock(home)
    node = None if lock is None else Node(home, settings.filled(), lock)
    os.write(ready, b"+")
    os.close(ready)
    if node is not None:
        node.run()


def take_lock(home: Home) -> int | None:
    """Take the home's lock, or say that a node has it. Somebody who only looks may hold it for a moment."""
    lock = os.open(home.node_lock, os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE)
        else:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            return lock
    os.close(lock)
    return None


if __name__ == "__main__":
    main()
