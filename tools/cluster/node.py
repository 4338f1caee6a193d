"""The first process of the node's own namespaces: mounts what the node sees, and keeps its components running.

`up` starts it (`python -m tools.cluster.node RUN`), joins its network to this machine, and then says go. When it ends,
the kernel ends whatever else is in there.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from .components import NEEDS, commands
from .needs import SEARCH
from .place import BIN, HELD, LOGS, PIDS, RUN

_LOOK_SECONDS = 0.05
_AGAIN_SECONDS = 0.5
# What kubelet would set for the whole machine unless it is so already; it finds it so, in files of its own.
_SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}
# Folders that Kubernetes and containerd insist on -> what the node has there instead.
OWN_FOLDERS = {
    Path("/var/lib/cni"): RUN / "cni",
    Path("/var/lib/containerd"): RUN / "containerd",
    Path("/var/lib/kubelet"): RUN / "kubelet",
    Path("/tmp/hostpath_pv"): RUN / "volumes",  # noqa: S108  (the provisioner's own path, private to the node's mounts)
}
_LOGS = RUN / "var-log"
STARTED = RUN / "started"
"""There once the node has heard go."""


def main() -> None:
    """Wait for the word, then keep the components running until killed."""
    if sys.stdin.readline() != "go\n":
        return  # whoever started this is gone
    STARTED.touch()
    _mount()
    running: dict[int, str] = {}
    due = dict.fromkeys(commands(), 0.0)
    while True:
        for name in [name for name, moment in due.items() if moment <= time.monotonic() and _may_start(name)]:
            del due[name]
            running[_start(name)] = name
        time.sleep(_LOOK_SECONDS)
        for pid, status in _ended():
            if name := running.pop(pid, None):
                sys.stdout.write(f"{name} ended: {status}\n")
                sys.stdout.flush()
                (PIDS / name).unlink(missing_ok=True)
                due[name] = time.monotonic() + _AGAIN_SECONDS


def _mount() -> None:
    _run("mount", "--make-rshared", "/")  # among the node's own namespaces; `unshare` cut the tie to this machine's
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "livecalc", "/run")
    for seen, stored in {Path("/var/log"): _LOGS, **OWN_FOLDERS}.items():
        stored.mkdir()
        _run("mount", "--bind", str(stored), str(seen))
    Path("/var/log/pods").mkdir()
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")  # of the node's own network
    for name, value in _SYSCTLS.items():
        instead = RUN / "sysctl" / name
        instead.parent.mkdir(parents=True, exist_ok=True)
        instead.write_text(f"{value}\n")
        _run("mount", "--bind", str(instead), f"/proc/sys/{name}")


def _start(name: str) -> int:
    with (LOGS / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            commands()[name],
            cwd="/",
            env={"PATH": f"{BIN}:{SEARCH}", "HOME": "/root"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process.returncode = 0  # `_ended` reaps it, together with the orphans that come to a first process
    written = PIDS / f".{name}"
    written.write_text(str(process.pid))
    written.rename(PIDS / name)
    return process.pid


def _may_start(name: str) -> bool:
    return not (HELD / name).exists() and (name not in NEEDS or NEEDS[name].exists())


def _ended() -> list[tuple[int, int]]:
    """Pid and exit code, or less than 0 for a signal, of each child that has ended."""
    ended: list[tuple[int, int]] = []
    try:
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended.append((found[0], os.waitstatus_to_exitcode(found[1])))
    except ChildProcessError:
        pass
    return ended


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
