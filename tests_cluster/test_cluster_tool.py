"""`make cluster` and `make cluster-down`: safe to repeat, after any crash too, and nothing is left behind.

These take down the cluster that runs on this machine: they are not for a cluster that somebody works on.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine_state import machine_state
from support.processes import until

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".cache/cluster/run"
KUBECTL = ROOT / ".cache/cluster/bin/kubectl"
COMPONENTS = (
    "etcd",
    "containerd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)
POD_WITH_A_VOLUME = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: writer}
spec:
  restartPolicy: Never
  containers:
  - name: writer
    image: localhost/busybox:1
    command: [sh, -c, "echo kept > /data/file && cat /data/file"]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: claim}}]
"""


@pytest.fixture
def cluster() -> Iterator[None]:
    """Up before, whatever the test before did; down after."""
    assert tool("up").returncode == 0
    yield
    assert tool("down").returncode == 0


def test_nothing_is_left_after_a_life_with_a_pod_and_a_volume() -> None:
    assert tool("down").returncode == 0
    before = machine_state()
    assert tool("up").returncode == 0
    kubectl("apply", "-f", "-", given=POD_WITH_A_VOLUME)
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/writer", "--timeout=60s")
    assert kubectl("logs", "writer") == "kept\n"
    assert machine_state().less(before)
    assert tool("down").returncode == 0
    assert machine_state().less(before) == {}
    assert not STATE.exists()


def test_a_second_up_is_the_first_one_again(cluster: None) -> None:  # noqa: ARG001  (it must run)
    first = component_pids()
    again = tool("up")
    assert again.stdout == f"export KUBECONFIG={STATE}/kubeconfig\nexport PATH={KUBECTL.parent}:$PATH\n"
    assert component_pids() == first


def test_a_killed_component_comes_back_by_itself(cluster: None) -> None:  # noqa: ARG001  (it must run)
    for name, pid in component_pids().items():
        os.kill(pid, signal.SIGKILL)
        until(lambda name=name, pid=pid: component(name) not in {None, pid}, within=10)
    assert tool("up").returncode == 0  # waits until all of it works


def test_a_stopped_component_stays_down_until_it_is_started(cluster: None) -> None:  # noqa: ARG001  (it must run)
    assert tool("stop", "kube-apiserver").returncode == 0
    until(lambda: component("kube-apiserver") is None, within=10)
    assert tool("stop", "etcd").returncode == 0
    assert tool("start", "etcd").returncode == 0
    until(lambda: component("etcd") is not None, within=10)
    assert component("kube-apiserver") is None
    assert tool("start", "kube-apiserver").returncode == 0
    assert tool("up").returncode == 0


@pytest.mark.parametrize("holder", ["first process", "unshare"])
def test_the_nodes_own_process_killed_takes_all_with_it(cluster: None, holder: str) -> None:  # noqa: ARG001  (it must run)
    pids = component_pids()
    first = parent(pids["etcd"])
    os.kill(first if holder == "first process" else parent(first), signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids.values()), within=30)
    assert tool("up").returncode == 0
    assert set(component_pids().values()).isdisjoint(pids.values())


@pytest.mark.parametrize("said", ["node's processes start", "containerd", "API server", "node livecalc"])
def test_an_up_that_is_killed_is_repeated_or_taken_down(said: str) -> None:
    assert tool("down").returncode == 0
    before = machine_state()
    with subprocess.Popen(command("up"), cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as up:
        assert up.stderr
        assert any(said in line for line in up.stderr)
        up.kill()
    assert tool("up").returncode == 0
    assert tool("down").returncode == 0
    assert machine_state().less(before) == {}


def test_a_killed_up_is_taken_down() -> None:
    assert tool("down").returncode == 0
    before = machine_state()
    with subprocess.Popen(command("up"), cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as up:
        assert up.stderr
        assert any("API server" in line for line in up.stderr)
        up.kill()
    assert tool("down").returncode == 0
    assert machine_state().less(before) == {}


def test_another_checkout_is_told_whose_cluster_runs(cluster: None, tmp_path: Path) -> None:  # noqa: ARG001  (it must run)
    shutil.copytree(ROOT / "tools/cluster", tmp_path / "tools/cluster")
    cache = tmp_path / ".cache/cluster"
    cache.mkdir(parents=True)
    for name in ("bin", "images"):
        (cache / name).symlink_to(ROOT / ".cache/cluster" / name)
    other = tool("up", root=tmp_path)
    assert other.returncode == 1
    assert other.stderr.endswith(f"another checkout's cluster runs on this machine: its state is in {STATE}\n")
    assert tool("down", root=tmp_path).returncode == 0
    assert set(component_pids()) == set(COMPONENTS)
    assert tool("up").returncode == 0


def test_it_listens_on_loopback_and_its_bridge_alone(cluster: None) -> None:  # noqa: ARG001  (it must run)
    inside = ("nsenter", f"--net=/proc/{component('etcd')}/ns/net", "ss", "-Hltn")
    heard = subprocess.run(inside, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {line.split()[3].rpartition(":")[0] for line in heard} == {"127.0.0.1", "10.244.0.1"}


def test_a_pod_reaches_the_api_server_and_this_machine_reaches_the_pod(cluster: None) -> None:  # noqa: ARG001  (it must run)
    serve = ["sh", "-c", "nc 10.96.0.1 443 </dev/null && httpd -f -p 8080"]
    kubectl("run", "server", "--image=localhost/busybox:1", "--restart=Never", "--command", "--", *serve)
    kubectl("expose", "pod", "server", "--port=80", "--target-port=8080")
    kubectl("wait", "--for=condition=Ready", "pod/server", "--timeout=60s")
    addresses = [
        json.loads(kubectl("get", "pod", "server", "-o", "json"))["status"]["podIP"] + ":8080",
        json.loads(kubectl("get", "service", "server", "-o", "json"))["spec"]["clusterIP"] + ":80",
    ]
    for address in addresses:
        until(lambda address=address: "404" in asked(address), within=20)


def test_an_image_that_was_built_here_runs_by_name_and_by_digest(cluster: None, tmp_path: Path) -> None:  # noqa: ARG001  (it must run)
    (tmp_path / "Dockerfile").write_text(
        "ARG BASE=python:3.11-slim-bookworm\nFROM $BASE\nRUN python3 -c 'print(1 + 1)' > /two\nUSER 1000\n"
    )
    archive = tmp_path / "image.tar"
    built = ("--build-arg", "BASE=localhost/python-base:1", "--tag", "localhost/two:1", str(tmp_path))
    assert tool("buildah", "build", *built).returncode == 0
    assert tool("buildah", "push", "localhost/two:1", f"oci-archive:{archive}:localhost/two:1").returncode == 0
    by_digest = tool("load", str(archive)).stdout.strip()
    assert by_digest.startswith("localhost/two@sha256:")
    for name, image in (("tag", "localhost/two:1"), ("digest", by_digest)):
        kubectl("run", name, f"--image={image}", "--restart=Never", "--command", "--", "sh", "-c", "cat /two; id -u")
        kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=60s")
        assert kubectl("logs", name) == "2\n1000\n"
    assert tool("buildah", "rmi", "localhost/two:1").returncode == 0


def test_without_root_it_says_so() -> None:
    for command_name, line in (
        ("up", "make cluster"),
        ("down", "make cluster-down"),
        ("pid", "python -m tools.cluster pid"),
    ):
        done = subprocess.run(
            ["unshare", "--user", *command(command_name)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert done.stderr == (
            f'the cluster needs root, for namespaces, mounts and control groups: sudo env "PATH=$PATH" {line}\n'
        )


def test_a_missing_package_is_named_with_what_installs_it() -> None:
    hidden = 'mount --bind /dev/null "$(command -v etcd)" && exec "$0" "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hidden, *command("up")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "the cluster needs: apt-get install --no-install-recommends etcd-server\n"


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def asked(address: str) -> str:
    return subprocess.run(
        ["curl", "--silent", "--include", "--max-time", "5", f"http://{address}/"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def tool(*arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(*arguments), cwd=root, capture_output=True, text=True, check=False)
    sys.stderr.write(done.stderr)
    return done


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tools.cluster", *arguments]


def component(name: str) -> int | None:
    return int(tool("pid", name).stdout or 0) or None


def component_pids() -> dict[str, int]:
    return {name: pid for name in COMPONENTS if (pid := component(name))}


def kubectl(*arguments: str, given: str = "") -> str:
    done = subprocess.run(
        [KUBECTL, f"--kubeconfig={STATE}/kubeconfig", *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
