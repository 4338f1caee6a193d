"""`python -m tools.cluster COMMAND`, from the root of the project."""

import fcntl
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .components import commands
from .down import down
from .images import buildah, load
from .needs import check_root
from .place import CACHE, HELD
from .processes import component_pid, first_process
from .progress import say
from .up import up

_USAGE = """usage: python -m tools.cluster COMMAND
  up                 bring the cluster up, and print what to export
  down               end it; only the cache is left
  load FILE          import an OCI archive into it, and print its name by digest
  buildah ARGS...    buildah on the images that are kept here
  pid NAME           the process of a component (etcd, kube-apiserver, containerd, ...)
  stop NAME          kill a component and keep it down
  start NAME         let it run again"""


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    if arguments not in (["up"], ["down"]):
        check_root(f"python -m tools.cluster {' '.join(arguments)}".rstrip())
    match arguments:
        case ["up"]:
            check_root("make cluster")
            with _alone():
                up()
        case ["down"]:
            check_root("make cluster-down")
            with _alone():
                down()
        case ["load", file]:
            sys.stdout.write(f"{load(Path(file))}\n")
        case ["buildah", *rest] if rest:
            return buildah(rest)
        case ["pid", name] if name in commands():
            pid = component_pid(name)
            sys.stdout.write(f"{pid}\n" if pid else "")
            return 0 if pid else 1
        case ["stop", name] if name in commands():
            first_process()
            (HELD / name).touch()
            if pid := component_pid(name):
                os.kill(pid, signal.SIGKILL)
        case ["start", name] if name in commands():
            first_process()
            (HELD / name).unlink(missing_ok=True)
        case _:
            raise SystemExit(_USAGE)
    return 0


@contextmanager
def _alone() -> Generator[None]:
    """One `up` or `down` of this checkout at a time; the lock ends with its process."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another make cluster, or cluster-down, of this checkout")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
