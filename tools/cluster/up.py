"""Bring the cluster up, or wait for the one that is coming up already; return when a pod has run on it."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shlex import quote
from typing import Any, NoReturn

from . import api
from .binaries import build, version
from .certificates import make_certificates
from .configuration import write_configuration
from .down import clean
from .images import BUSYBOX_FILE, load, make_images
from .machine import join_network, make_control_groups, make_folders
from .needs import check_packages
from .node import STARTED
from .place import BIN, BUSYBOX_IMAGE, CONTAINERD_SOCKET, HELD, KUBECONFIG, LOGS, NODE, PIDS, ROOT, RUN
from .processes import NODE_MODULE, kill, other_node, our_node
from .progress import say

_READY_SECONDS = 120
_MANY_ENDS = 10
_LOG_LINES = 12
_LINE_CHARACTERS = 400
_STORAGE_CLASS: dict[str, Any] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/host-path",
}
_PODS = "/api/v1/namespaces/kube-system/pods"
_FIRST_POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "first"},
    "spec": {"containers": [{"name": "sleep", "image": BUSYBOX_IMAGE}], "terminationGracePeriodSeconds": 0},
}


def up() -> None:
    """Raises SystemExit that names what is missing, or shows the end of the logs of what failed."""
    check_packages()
    _check_that_no_other_runs()  # before minutes of building too
    with ThreadPoolExecutor() as pool:
        images = pool.submit(make_images)
        build()
        images.result()
    if our_node() is None or not STARTED.exists():
        clean()
        _check_that_no_other_runs()
        _start()
    else:
        say("the cluster runs already")
        for held in HELD.iterdir():
            held.unlink()
    _wait_until_usable()
    say(f"Kubernetes {version()} is ready; `make cluster-down` ends it")
    sys.stdout.write(f"export KUBECONFIG={quote(str(KUBECONFIG))}\nexport PATH={quote(str(BIN))}:$PATH\n")


def _check_that_no_other_runs() -> None:
    if other := other_node():
        raise SystemExit(f"another checkout's cluster runs on this machine: its state is in {other.folder}")


def _start() -> None:
    for folder in (RUN, LOGS, PIDS, HELD):
        folder.mkdir(parents=True)
    make_certificates()
    write_configuration()
    make_folders()
    make_control_groups()
    spaces = ("--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc", "--propagation=private")
    with (LOGS / "node.log").open("wb") as log:
        holder = subprocess.Popen(
            ["unshare", *spaces, "--", sys.executable, "-m", NODE_MODULE, str(RUN)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    join_network(_first_process(holder))
    assert holder.stdin
    holder.stdin.write(b"go\n")
    holder.stdin.close()
    say("the node's processes start")


def _first_process(holder: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + _READY_SECONDS
    while not (first := _first()):
        if holder.poll() is not None or time.monotonic() > deadline:
            _give_up("the node's first process", Counter())
        time.sleep(0.01)
    return first


def _wait_until_usable() -> None:
    waiting = _Waiting()
    waiting.until("containerd", _import_busybox)
    waiting.until("API server", lambda: api.get("/readyz") == "ok")
    waiting.until("storage class", lambda: api.make("/apis/storage.k8s.io/v1/storageclasses", _STORAGE_CLASS))
    waiting.until(f"node {NODE}", _is_node_ready)
    waiting.until("a first pod", _has_pod_run)
    api.delete(f"{_PODS}/first")


def _import_busybox() -> bool:
    if not Path(f"/proc/{_first()}/root{CONTAINERD_SOCKET}").exists():
        return False
    load(BUSYBOX_FILE)
    return True


def _is_node_ready() -> bool:
    node: dict[str, Any] = api.get(f"/api/v1/nodes/{NODE}") or {"status": {}}
    conditions: list[dict[str, str]] = node["status"].get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _has_pod_run() -> bool:
    """Made anew while it cannot be: its service account comes a moment after the namespace."""
    pod = api.get(f"{_PODS}/first")
    if pod is None:
        api.make(_PODS, _FIRST_POD)
        return False
    return pod["status"]["phase"] == "Running"


class _Waiting:
    """Waits for one thing after another, and gives up when the node ends or a component keeps ending."""

    def __init__(self) -> None:
        self._before = _ends()

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not holds():
            ends = _ends() - self._before
            if our_node() is None or max(ends.values(), default=0) >= _MANY_ENDS or time.monotonic() > deadline:
                _give_up(what, ends)
            time.sleep(0.05)
        say(f"{what}: ready")


def _ends() -> Counter[str]:
    """How often each component has ended so far."""
    lines = (LOGS / "node.log").read_text(errors="replace").splitlines()
    return Counter(line.split(" ended: ")[0] for line in lines if " ended: " in line)


def _give_up(what: str, ends: Counter[str]) -> NoReturn:
    """What does not work is not left running; its logs stay until the next start."""
    if node := our_node():
        kill(node)
    parts = [f"{what} did not come up."]
    for name in ["node", *ends]:
        lines = (LOGS / f"{name}.log").read_text(errors="replace").splitlines()[-_LOG_LINES:]
        parts += [f"--- {LOGS / name}.log", *(line[:_LINE_CHARACTERS] for line in lines)]
    raise SystemExit("\n".join(parts))


def _first() -> int | None:
    node = our_node()
    return node.first if node else None
