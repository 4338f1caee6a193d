"""A command that starts the node of a home: `launcher.py ROOT`; with `hold` it gets stuck while it is at it."""

import fcntl
import sys
from pathlib import Path

from livecalc.cluster.local.home import Home
from livecalc.cluster.local.launch import ensure_node
from livecalc.cluster.local.settings import NodeSettings


def main(home: Home, *, hold: bool) -> None:
    if not hold:
        ensure_node(home, NodeSettings(linger_seconds=1.0))
        return
    with home.launch_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sys.stdout.write("holds the lock\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(Home(Path(sys.argv[1])), hold=sys.argv[2:] == ["hold"])
