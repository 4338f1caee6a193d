"""Processes of pods as the kernel shows them: who belongs to a pod, how much memory it has, and their end.

Only Linux shows this (/proc, pidfds). Elsewhere nothing is found here, and process groups and locks do what they can.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Container, Iterable
from pathlib import Path

POD_UID = "LIVECALC_POD_UID"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_ROUNDS = 200
"""How often leftovers are looked for; each round kills all it finds, so only a fork bomb needs more than a few."""
_PAUSE = 0.001
"""For the kernel to take down what was killed."""


def kill_marked(uids: Iterable[str]) -> int:
    """Kill every process whose environment carries one of these pods' uids, until none is found; say how many."""
    marks = {f"{POD_UID}={uid}".encode() for uid in uids}
    killed = 0
    for _ in range(_ROUNDS if marks else 0):
        found = sum([_kill_if(pid, lambda pid: not marks.isdisjoint(_environment(pid))) for pid in _all_pids()])
        killed += found
        if not found:
            break
        time.sleep(_PAUSE)
    return killed


def kill_holders(path: Path) -> None:
    """Kill every process that has a file open: what belongs to a pod and has thrown its environment away."""
    real = os.path.realpath(path)
    for _ in range(_ROUNDS):
        if not sum([_kill_if(pid, lambda candidate: _has_open(candidate, real)) for pid in _all_pids()]):
            break
        time.sleep(_PAUSE)


def memory_of(pid: int, more: Iterable[int], limit: int) -> int:
    """Resident bytes of a process, all below it, and `more` processes.

    Pages that several of them share are counted once when the plain sum is over the limit, as a cgroup would.
    """
    members = [member for root in (pid, *more) for member in _tree(root)]
    resident = sum(_resident(member) for member in members)
    if resident > limit and len(members) > 1:
        return sum(_proportional(member) for member in members)
    return resident


def children(pid: int) -> list[int]:
    """The living and unreaped children of a process."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  (names, hot path)
            with contextlib.suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_bytes().split())
    return found


def pod_of(pid: int) -> str | None:
    """The uid of the pod that a process was started for; None when it carries none or does not say."""
    prefix = f"{POD_UID}=".encode()
    return next((entry[len(prefix) :].decode() for entry in _environment(pid) if entry.startswith(prefix)), None)


def reap(leaders: Container[int]) -> tuple[int, int] | None:
    """Take one ended child and its status as waitpid gives it; None when there is none.

    What is left of the process group of a leader dies first: as long as it is not reaped, its number is nobody else's.
    """
    try:
        if sys.platform != "linux":
            pid, status = os.waitpid(-1, os.WNOHANG)
            return (pid, status) if pid else None
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        if ended.si_pid in leaders:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(ended.si_pid, signal.SIGKILL)
        return os.waitpid(ended.si_pid, 0)
    except ChildProcessError:
        return None


def kill(pid: int) -> None:
    """Kill one process that may be gone already; only for own children, whose pid cannot be another's."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _kill_if(pid: int, belongs: Callable[[int], bool]) -> bool:
    """Kill a process if it belongs: first a handle on it, then the look, so that no reused pid is hit."""
    if sys.platform != "linux" or pid == os.getpid() or not belongs(pid):
        return False
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not belongs(pid):
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _all_pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208  (names, hot path)
    except OSError:
        return []


def _has_open(pid: int, path: str) -> bool:
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208  (names, hot path)
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{name}") == path:  # noqa: PTH115  (names, hot path)
                    return True
    return False


def _environment(pid: int) -> list[bytes]:
    """The environment that a process was started with; empty for others' processes, and zombies."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _tree(pid: int) -> list[int]:
    members = [pid]
    for member in members:
        members += children(member)
    return members


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(b"Pss:"))
