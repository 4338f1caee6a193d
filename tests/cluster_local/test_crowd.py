"""Many commands on one home at once: one node, nothing stuck, nothing lost."""

import os
import subprocess
import sys
from asyncio import gather
from contextlib import suppress
from pathlib import Path

import pytest
from contracts.cluster_harness import LocalHarness, Place, new_name, wait_for_node_to_leave
from support.processes import processes_with, until
from support.waiting import eventually

from livecalc.cluster.local import LocalCluster
from livecalc.cluster.local.home import Home
from livecalc.cluster.local.launch import ensure_node, node_runs
from livecalc.cluster.local.settings import NodeSettings

pytestmark = pytest.mark.anyio

LAUNCHER = Path(__file__).with_name("launcher.py")
SUBMITTER = Path(__file__).with_name("submitter.py")


def start(root: Path, namespace: str, jobs: int, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(SUBMITTER), str(root), namespace, str(jobs), *more]
    environment = {**os.environ, "PYTHONPATH": str(SUBMITTER.parents[1])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def output(process: "subprocess.Popen[str]") -> list[str]:
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return printed.split()


def has_open(pid: int, path: Path) -> bool:
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed since
            if file.readlink() == path:
                return True
    return False


async def all_succeeded(cluster: LocalCluster, namespace: str, names: list[str]) -> bool:
    jobs = {job.name: job for job in await cluster.list_jobs(namespace)}
    assert sorted(jobs) == sorted(names)
    return all(job.state == "succeeded" for job in jobs.values())


async def test_commands_that_meet_on_a_fresh_home_share_one_node(tmp_path: Path) -> None:
    root, namespace = tmp_path / "cluster", new_name()
    processes = [start(root, namespace, 2) for _ in range(6)]

    names = [name for process in processes for name in output(process)]
    cluster = LocalCluster(root)
    await eventually(lambda: all_succeeded(cluster, namespace, names))

    assert len(await cluster.list_pods(namespace)) == 2 * len(names)
    await cluster.close()
    wait_for_node_to_leave(root)


def test_launchers_at_once_start_one_node(tmp_path: Path) -> None:
    home = Home(tmp_path / "cluster")
    home.prepare()

    launchers = [subprocess.Popen([sys.executable, str(LAUNCHER), str(home.root)]) for _ in range(6)]
    assert [process.wait(30) for process in launchers] == [0] * 6

    assert node_runs(home)
    assert processes_with(f"livecalc.cluster.local.node\0{home.root}") == [int(home.node_lock.read_text())]
    wait_for_node_to_leave(home.root)


def test_a_launcher_that_is_killed_does_not_keep_others_from_launching(tmp_path: Path) -> None:
    home = Home(tmp_path / "cluster")
    home.prepare()
    holder = subprocess.Popen(
        [sys.executable, str(LAUNCHER), str(home.root), "hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"holds the lock\n"
    other = subprocess.Popen([sys.executable, str(LAUNCHER), str(home.root)])
    until(lambda: has_open(other.pid, home.launch_lock))
    assert not node_runs(home)

    holder.kill()
    holder.communicate()

    assert other.wait(20) == 0
    wait_for_node_to_leave(home.root)


async def test_submits_that_meet_a_leaving_node_are_not_stuck(tmp_path: Path) -> None:
    root, namespace = tmp_path / "cluster", new_name()
    processes = [start(root, namespace, 8, "wait") for _ in range(3)]

    names = [name for process in processes for name in output(process)]

    cluster = LocalCluster(root)
    assert len(names) == 24
    assert await all_succeeded(cluster, namespace, names)
    await cluster.close()
    wait_for_node_to_leave(root)


async def test_fifty_submits_at_once(place: Place) -> None:
    names = [f"job-{number}" for number in range(50)]

    await gather(*(place.run("exit 0", name=name) for name in names))
    jobs = await gather(*(place.finished(name) for name in names))

    assert {job.state for job in jobs} == {"succeeded"}
    assert sorted(pod.job for pod in await place.pods()) == sorted(names)


async def test_a_command_ends_although_its_job_goes_on(tmp_path: Path) -> None:
    root, namespace = tmp_path / "cluster", new_name()

    # Its output is read to the end of file: nothing that it started may hold it open.
    printed, _ = start(root, namespace, 1, "hang").communicate(timeout=20)

    assert len(printed.split()) == 1
    harness = LocalHarness(tmp_path)
    place = Place(harness, namespace)
    await place.running()
    await place.delete()
    await place.soon(place.is_gone)
    await harness.cluster.close()
    harness.close()


async def test_a_node_that_left_takes_nothing_with_it(place: Place, harness: LocalHarness) -> None:
    """Several connections of one process, over the lives of several nodes."""
    for number in range(3):
        await gather(*(place.record() for _ in range(8)))
        await place.run("exit 0", name=f"job-{number}")
        assert (await place.finished(f"job-{number}")).state == "succeeded"
        wait_for_node_to_leave(harness.root)

    assert len(await place.cluster.list_jobs(place.name)) == 3


async def test_a_node_leaves_when_its_home_is_taken_away(tmp_path: Path) -> None:
    harness = LocalHarness(tmp_path)
    place = Place(harness, new_name())
    await harness.cluster.create_namespace(place.name, labels={}, annotations={})
    await place.run("sleep 300")
    await place.running()
    await harness.cluster.close()

    harness.root.rename(tmp_path / "elsewhere")

    until(lambda: not processes_with(str(harness.root)))


def test_asking_for_a_node_twice_starts_one(tmp_path: Path) -> None:
    home = Home(tmp_path / "cluster")
    home.prepare()

    ensure_node(home, NodeSettings(linger_seconds=0.5))
    first = home.node_lock.read_text()
    ensure_node(home, NodeSettings(linger_seconds=0.5))

    assert home.node_lock.read_text() == first
    wait_for_node_to_leave(home.root)
    assert not node_runs(home)
