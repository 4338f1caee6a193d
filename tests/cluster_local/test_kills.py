"""SIGKILL of the node, and models that try to leave something behind: nothing is lost, doubled or left running."""

import os
import signal
from pathlib import Path
from uuid import uuid4

import pytest
from contracts.cluster_harness import LocalHarness, Place
from support.processes import processes_with, until

from livecalc.cluster.local.home import Home
from livecalc.cluster.local.launch import node_runs

pytestmark = pytest.mark.anyio


def kill_node(harness: LocalHarness) -> None:
    """Kill the node as the kernel would, and wait until it is dead."""
    home = Home(harness.root)
    os.kill(int(home.node_lock.read_text()), signal.SIGKILL)
    until(lambda: not node_runs(home))


async def test_after_kills_of_the_node_every_index_succeeds_once(
    place: Place, harness: LocalHarness, tmp_path: Path
) -> None:
    """Each run notes its start and end; a run that ended well is the only one of its index that did."""
    journal = tmp_path / "journal"
    journal.touch()
    mark = uuid4().hex
    script = (
        'note() { echo "$1 $JOB_COMPLETION_INDEX $LIVECALC_POD_UID" >> "$JOURNAL"; };'
        f"note start; setsid sh -c 'sleep 300 # {mark}' & sleep 0.3; note end"
    )
    await place.run(script, partitions=12, env={"JOURNAL": str(journal)})
    for kill in range(3):
        await place.soon(lambda done=4 * kill: _has_lines(place, journal, done + 2))
        kill_node(harness)

    job = await place.finished()
    pods = await place.pods()

    assert job.state == "succeeded"
    ends = [line.split()[1] for line in journal.read_text().splitlines() if line.startswith("end")]
    assert set(ends) == {str(index) for index in range(12)}
    succeeded = [pod.index for pod in pods if pod.phase == "Succeeded"]
    assert sorted(index or 0 for index in succeeded) == list(range(12))
    lost = [pod for pod in pods if pod.phase == "Failed"]
    assert lost
    assert {pod.reason for pod in lost} == {"NodeLost"}
    assert len(pods) == 12 + len(lost)
    assert {line.split()[2] for line in journal.read_text().splitlines()} <= {pod.uid for pod in pods}
    assert processes_with(mark) == []


async def test_the_death_of_a_node_does_not_count_as_a_failure(place: Place, harness: LocalHarness) -> None:
    await place.run('test "$LIVECALC_ATTEMPT" = 2 || sleep 300', retries=0)
    for attempt in range(2):
        await place.soon(lambda attempt=attempt: _runs_as(place, attempt))
        kill_node(harness)

    job = await place.finished()

    assert job.state == "succeeded"
    assert sorted(pod.reason for pod in await place.pods()) == ["", "NodeLost", "NodeLost"]
    reasons = [event.reason for event in await place.cluster.list_events(place.name)]
    assert reasons.count("NodeLost") == 2


async def test_a_lost_pod_of_no_job_is_not_run_again(place: Place, harness: LocalHarness) -> None:
    await place.harness.create_pod(
        place.name, "foreign", place.harness.shell("echo words > $LIVECALC_TERMINATION_MESSAGE; sleep 300")
    )
    folder = harness.root / "pods"
    await place.running()
    until(lambda: [path for path in folder.glob("*/termination") if path.read_text() == "words\n"])
    kill_node(harness)

    pod = await place.ended("foreign")

    assert (pod.phase, pod.reason) == ("Failed", "NodeLost")
    assert pod.containers[0].terminated is not None
    assert pod.containers[0].terminated.exit_code == 137
    assert pod.containers[0].terminated.message == "words\n"
    assert len(await place.pods()) == 1


async def test_a_kill_while_a_namespace_is_deleted_only_delays_it(place: Place, harness: LocalHarness) -> None:
    await place.run("trap '' TERM; while :; do sleep 0.1; done", partitions=2)
    await place.harness.create_claim(place.name, "data")
    await place.running(2)
    await place.delete()
    kill_node(harness)

    await place.soon(place.is_gone)

    assert list((harness.root / "pods").iterdir()) == []
    assert list((harness.root / "volumes").iterdir()) == []


async def test_a_kill_while_a_job_is_cancelled_only_delays_it(place: Place, harness: LocalHarness) -> None:
    await place.run("trap '' TERM; while :; do sleep 0.1; done", partitions=2, retries=3)
    await place.running(2)
    await place.cluster.cancel_job(place.name, "job")
    kill_node(harness)

    job = await place.finished()

    assert (job.state, job.reason) == ("failed", "Cancelled")
    assert len(await place.pods()) == 2


@pytest.mark.parametrize(
    "leave",
    [
        "sh -c 'sleep 300 # {mark}'",
        "setsid sh -c 'sleep 300 # {mark}'",
        "setsid setsid sh -c 'trap \"\" TERM HUP INT; sleep 300 # {mark}'",
        "env -i setsid sh -c 'sleep 300 # {mark}'",
        "env -i /bin/sh -c 'while :; do echo {mark}; done'",
    ],
)
async def test_a_pod_leaves_no_process_behind(place: Place, leave: str) -> None:
    mark = uuid4().hex
    background = leave.format(mark=mark)
    await place.run(f"{background} & {background} & exit 0")

    job = await place.finished()

    assert job.state == "succeeded"
    assert processes_with(mark) == []


async def test_a_pod_that_forks_without_end_is_taken_down(place: Place) -> None:
    mark = uuid4().hex
    chain = f"f() {{ : {mark}; sleep 0.01; (f) & }}; f; sleep 300"
    await place.run(f"sh -c '{chain}' & sleep 0.3")

    job = await place.finished()

    assert job.state == "succeeded"
    assert processes_with(mark) == []


async def test_what_a_pod_printed_before_it_left_orphans_is_kept(place: Place) -> None:
    await place.run("sleep 300 & echo printed; exit 0")
    await place.finished()
    (pod,) = await place.pods()

    assert await place.log(pod.name) == b"printed\n"


async def test_memory_of_all_processes_of_a_pod_counts(place: Place) -> None:
    mark = uuid4().hex
    await place.run(f"setsid sh -c 'tail /dev/zero # {mark}' & sleep 300", memory=64 << 20)
    await place.finished()
    (pod,) = await place.pods()

    end = pod.containers[0].terminated
    assert end is not None
    assert (end.exit_code, end.reason) == (137, "OOMKilled")
    assert pod.message
    assert processes_with(mark) == []


async def test_the_node_leaves_no_zombie_and_no_folder(place: Place, harness: LocalHarness) -> None:
    await place.run("sleep 0.05 & (sleep 0.1 &) ; exit 0", partitions=6)
    await place.finished()
    node = int(Home(harness.root).node_lock.read_text())

    until(lambda: _children(node) == [])

    for folder in (harness.root / "pods").iterdir():
        assert sorted(path.name for path in folder.iterdir()) == ["lock", "main.log"]


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if Path(f"/proc/{pid}").exists() else []


async def _has_lines(place: Place, journal: Path, count: int) -> bool:
    """Any call brings up a node again after a kill."""
    await place.record()
    return _count_lines(journal) >= count


def _count_lines(journal: Path) -> int:
    return len(journal.read_text().splitlines())


async def _runs_as(place: Place, attempt: int) -> bool:
    """Of one listing: between two, a dead node's pod can still be Running and its successor still Pending."""
    pods = await place.pods()
    return [pod.phase for pod in pods].count("Running") == 1 and len(pods) == attempt + 1
