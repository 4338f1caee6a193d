"""What this machine has that a cluster could leave behind: compared before and after."""

import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

_SYSCTLS = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")
_FOLDERS = ("/var/lib", "/opt", "/etc/cni", "/var/log/pods", "/var/log/containers", "/run/netns", "/run/containerd")


@dataclass(frozen=True)
class MachineState:
    """Each field is a set of lines; a line more or less after `down` is a bug."""

    mounts: frozenset[str]
    network: frozenset[str]
    rules: frozenset[str]
    sysctls: frozenset[str]
    control_groups: frozenset[str]
    folders: frozenset[str]
    processes: frozenset[str]

    def less(self, before: "MachineState") -> dict[str, set[str]]:
        """What is here and was not before, or was and is not, by field; empty when nothing is."""
        differences = {field.name: getattr(self, field.name) ^ getattr(before, field.name) for field in fields(self)}
        return {name: lines for name, lines in differences.items() if lines}


def machine_state() -> MachineState:
    return MachineState(
        mounts=frozenset(line.split(" - ")[0].split(" ", 3)[3] for line in _lines("/proc/self/mountinfo")),
        network=frozenset(
            line
            for what in ("link", "addr", "route", "neigh", "netns")
            for line in _said("ip", "-o", what, "show" if what != "netns" else "list")
            if "dev eth" not in line and "eth0" not in line
        ),
        rules=frozenset(line for line in _said("iptables-save") if not line.startswith("#")),
        sysctls=frozenset(f"{name}={Path('/proc/sys', name).read_text()}" for name in _SYSCTLS),
        control_groups=frozenset(str(path) for path in Path("/sys/fs/cgroup").glob("*/livecalc*")),
        folders=frozenset(str(path) for folder in _FOLDERS if Path(folder).exists() for path in Path(folder).iterdir())
        | frozenset(str(path) for path in Path("/tmp").glob("hostpath_pv")),  # noqa: S108  (the provisioner's)
        processes=frozenset(_node_processes()),
    )


def _node_processes() -> set[str]:
    """Those in another space of processes than ours, as all of a node are, and those that hold it."""
    ours = Path("/proc/self/ns/pid").readlink()
    found: set[str] = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text(errors="replace").split("\0")
            is_node = (entry / "ns/pid").readlink() != ours or "tools.cluster.node" in words
            if is_node and words[0]:  # without a command line it is dead, and this machine's init about to reap it
                found.add(f"{entry.name} {' '.join(words)[:200]}")
        except OSError:  # it has ended since
            continue
    return found


def _said(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
