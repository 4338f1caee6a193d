"""What the cluster has on this machine outside its own namespaces, and gives back: a link, control groups, folders."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .node import OWN_FOLDERS
from .place import BRIDGE, CGROUP, HOST_ADDRESS, LINK, NODE_ADDRESS, PREFIX, SERVICE_SUBNET

_CONTROLLERS = Path("/sys/fs/cgroup")
_VERSION_2 = _CONTROLLERS / "cgroup.controllers"
_KUBELET_ASKS = frozenset({"cpu", "cpuset", "hugetlb", "memory", "pids"})
_END_SECONDS = 30
# Said, since a bridge otherwise takes on that of one port or another: whoever knew the old one waits for half a minute.
_BRIDGE_HARDWARE = "02:00:0a:f4:00:01"


def join_network(first: int) -> None:
    """Join the node of that first process to this machine by a bridge; the link goes when its network does.

    Raises SystemExit when this machine has such a link already.
    """
    done = _ip("link", "add", LINK, "type", "veth", "peer", "name", "uplink", "netns", str(first))
    if done.returncode:
        raise SystemExit(f"the link {LINK} could not be made: {done.stderr.strip()}")
    inside = ("nsenter", f"--net=/proc/{first}/ns/net", "--")
    for command in (
        f"ip link add {BRIDGE} address {_BRIDGE_HARDWARE} type bridge",
        f"ip addr add {NODE_ADDRESS}/{PREFIX} dev {BRIDGE}",
        f"ip link set uplink master {BRIDGE} up",
        f"ip link set {BRIDGE} up",
        "ip link set lo up",
    ):
        _run(*inside, *command.split())
    _run("ip", "addr", "add", f"{HOST_ADDRESS}/{PREFIX}", "dev", LINK)
    _run("ip", "link", "set", LINK, "up")
    _run("ip", "route", "add", SERVICE_SUBNET, "via", NODE_ADDRESS, "dev", LINK)


def make_folders() -> None:
    """Make what the node's mounts are put on, where this machine has no such folder."""
    for folder in OWN_FOLDERS:
        folder.mkdir(parents=True, exist_ok=True)


def make_control_groups() -> None:
    """One for the pods, in each hierarchy; in that of version 2 with the controllers that kubelet asks for."""
    for hierarchy in _hierarchies():
        (hierarchy / CGROUP).mkdir(exist_ok=True)
    if _VERSION_2.exists():
        there = _KUBELET_ASKS.intersection(_VERSION_2.read_text().split())
        (_CONTROLLERS / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(there)))


def clear() -> None:
    """Take back whatever of that is there; no cluster may run on this machine."""
    until(
        lambda: not Path(f"/sys/class/net/{LINK}").exists() or not _ip("link", "delete", LINK).returncode,
        f"the link {LINK} stays",
    )
    for hierarchy in _hierarchies():
        until(lambda folder=hierarchy / CGROUP: _remove_groups(folder), f"{hierarchy / CGROUP} stays")
    for folder in OWN_FOLDERS:  # one that something else of this machine uses is not empty
        _remove_if_empty(folder)


def _hierarchies() -> list[Path]:
    """Version 2 has one; version 1 one for each controller."""
    if _VERSION_2.exists():
        return [_CONTROLLERS]
    return [path for path in _CONTROLLERS.iterdir() if (path / "cgroup.procs").exists()]


def _remove_groups(folder: Path) -> bool:
    """Whether the group and all below it are gone."""
    if not folder.exists():
        return True
    below = [_remove_groups(path) for path in folder.iterdir() if path.is_dir()]
    return all(below) and _remove_if_empty(folder)


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def until(holds: Callable[[], bool], otherwise: str) -> None:
    """Raises SystemExit(otherwise) when it does not hold within half a minute; killed processes are long gone then."""
    deadline = time.monotonic() + _END_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(otherwise)
        time.sleep(0.05)


def _ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
