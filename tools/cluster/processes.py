"""Who runs: the first process of each cluster on this machine, and the components of ours, found in /proc.

No file of pids is trusted for that: it could be older than the last crash.
"""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .place import PIDS, RUN

NODE_MODULE = "tools.cluster.node"
_END_SECONDS = 30


@dataclass(frozen=True)
class Node:
    """The two processes that hold a node up: `unshare`, and the node's first process. The folder is its RUN."""

    folder: str
    first: int | None
    holders: tuple[int, ...]


def running_nodes() -> list[Node]:
    """Every cluster of this machine, whichever checkout it belongs to."""
    found: dict[str, list[int]] = {}
    for pid in _pids():
        command = _command(pid)
        if command[-3:-1] == ["-m", NODE_MODULE]:
            found.setdefault(command[-1], []).append(pid)
    return [Node(folder, _first(pids), tuple(pids)) for folder, pids in found.items()]


def our_node() -> Node | None:
    """This checkout's, or None."""
    return next((node for node in running_nodes() if node.folder == str(RUN)), None)


def first_process() -> int:
    """The pid, on this machine, of our node's first process. Raises SystemExit when no cluster of ours runs."""
    node = our_node()
    if node is None or node.first is None:
        raise SystemExit("no cluster of this checkout runs: make cluster")
    return node.first


def other_node() -> Node | None:
    """Another checkout's, or None."""
    return next((node for node in running_nodes() if node.folder != str(RUN)), None)


def component_pid(name: str) -> int | None:
    """The pid, on this machine, of a component of ours, or None while it does not run."""
    node = our_node()
    try:
        inside = (PIDS / name).read_text()
    except FileNotFoundError:
        return None
    if node is None or node.first is None:
        return None
    space = _space(node.first)
    return next((pid for pid in _pids() if _space(pid) == space and _inside(pid) == inside), None)


def kill(node: Node) -> None:
    """Kill a node's first process, and so, by the kernel, all that ran in it; returns when they are gone."""
    for pid in node.holders:
        _signal(pid)
    _until_gone(node.holders)


def _until_gone(pids: tuple[int, ...]) -> None:
    deadline = time.monotonic() + _END_SECONDS
    while left := [pid for pid in pids if not _is_over(pid)]:
        if time.monotonic() > deadline:
            raise SystemExit(f"processes {left} of the cluster do not end")
        time.sleep(0.02)


def _is_over(pid: int) -> bool:
    """Gone, or a zombie: the first process of a namespace becomes one only after all others in it are gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _signal(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _first(pids: list[int]) -> int | None:
    """Of the holders, the one that is number 1 in there; None before it is born."""
    return next((pid for pid in pids if _inside(pid) == "1"), None)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def _inside(pid: int) -> str:
    """The pid as the process itself sees it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""
    return next((line.split()[-1] for line in status.splitlines() if line.startswith("NSpid:")), "")


def _space(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""
