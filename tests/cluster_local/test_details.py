"""What the local cluster does in ways of its own: rotation, attempts, stuck volumes, the clock, start times."""

import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from contracts.cluster_harness import BRISK, LocalHarness, Place, new_name
from support.processes import until

from livecalc.cluster.local.logs import LogFile
from livecalc.cluster.local.removal import remove_tree
from livecalc.cluster.port import JobSpec, VolumeRecord
from livecalc.domain.errors import InvalidInput, NotFound

pytestmark = pytest.mark.anyio


@pytest.fixture
async def small_logs(tmp_path: Path) -> AsyncIterator[Place]:
    """A place whose node keeps three files of 1,000 bytes of each log."""
    harness = LocalHarness(tmp_path / "small", BRISK._replace(log_bytes=1000, log_files=3))
    place = Place(harness, new_name())
    await harness.cluster.create_namespace(place.name, labels={}, annotations={})
    yield place
    await place.delete()
    await place.soon(place.is_gone)
    await harness.cluster.close()
    harness.close()


async def test_only_the_newest_file_of_a_log_is_served(small_logs: Place, tmp_path: Path) -> None:
    await small_logs.run("seq -w 0 1099")  # 5,500 bytes
    await small_logs.finished()
    (pod,) = await small_logs.pods()

    log = await small_logs.log(pod.name)
    kept = sorted(path.name for path in (tmp_path / "small/cluster/pods" / pod.uid).glob("main.log*"))

    assert len(log) == 500
    assert log.endswith(b"1098\n1099\n")
    assert kept == ["main.log", "main.log.1", "main.log.2"]


async def test_following_goes_over_rotations(small_logs: Place) -> None:
    await small_logs.run("echo begin; for n in $(seq 1 20); do printf '%0200d\\n' $n; sleep 0.06; done")
    (pod,) = await small_logs.running()

    log = await small_logs.log(pod.name, follow=True)

    assert [int(line) for line in log.splitlines()[1:]] == list(range(1, 21))


def test_a_log_file_is_cut_at_its_limit(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log", 10, 2)

    for part in (b"abc", b"", b"defghijklm", b"n" * 25):
        log.write(part)
    log.close()

    assert (tmp_path / "log").read_bytes() == b"n" * 8
    assert (tmp_path / "log.1").read_bytes() == b"n" * 10
    assert not (tmp_path / "log.2").exists()


def test_of_one_file_nothing_older_is_kept(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log", 4, 1)

    log.write(b"abcdefghij")
    log.close()

    assert (tmp_path / "log").read_bytes() == b"ij"
    assert len(list(tmp_path.iterdir())) == 1


async def test_a_retry_knows_that_it_is_one(place: Place) -> None:
    await place.run('echo "$LIVECALC_ATTEMPT"; test "$LIVECALC_ATTEMPT" = 2', retries=3)

    job = await place.finished()

    assert job.state == "succeeded"
    pods = sorted(await place.pods(), key=lambda pod: pod.created_at)
    assert [await place.log(pod.name) for pod in pods] == [b"0\n", b"1\n", b"2\n"]
    assert [pod.phase for pod in pods] == ["Failed", "Failed", "Succeeded"]
    assert "Retrying" in {event.reason for event in await place.cluster.list_events(place.name)}


async def test_a_pod_sees_nothing_of_the_one_who_started_the_node(place: Place) -> None:
    await place.run("env | cut -d= -f1 | sort | tr '\\n' ' '", env={"MINE": "1"})
    await place.finished()
    (pod,) = await place.pods()

    seen = set((await place.log(pod.name)).decode().split())

    assert {"PATH", "MINE", "LIVECALC_POD_UID"} <= seen
    assert not {name for name in seen if name.startswith(("PYTEST", "AZURE", "LIVECALC_TOKEN", "LIVECALC_HOME"))}


async def test_scratch_goes_with_the_container(place: Place, harness: LocalHarness) -> None:
    await place.run('mkdir -p "$LIVECALC_SCRATCH/a/b"; chmod 0 "$LIVECALC_SCRATCH/a"; pwd -P; echo "$LIVECALC_SCRATCH"')
    await place.finished()
    (pod,) = await place.pods()

    here, scratch = (await place.log(pod.name)).decode().split()
    folder = harness.root / "pods" / pod.uid

    assert here == scratch == str(folder / "scratch")
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "main.log"]


async def test_no_more_pods_run_than_there_are_slots(place: Place, harness: LocalHarness, tmp_path: Path) -> None:
    script = 'touch "$D/$LIVECALC_POD_UID"; ls "$D" | wc -l >> "$D.counts"; sleep 0.05; rm "$D/$LIVECALC_POD_UID"'
    (tmp_path / "d").mkdir()
    await place.run(script, partitions=16, env={"D": str(tmp_path / "d")})

    await place.finished()

    counts = [int(line) for line in (tmp_path / "d.counts").read_text().split()]
    assert harness.cluster.slots == 4
    assert len(counts) == 16
    assert max(counts) <= 4


async def test_a_waiting_pod_says_so(place: Place) -> None:
    await place.run("sleep 300", partitions=6)
    await place.running(4)

    waiting = [pod for pod in await place.pods() if pod.phase == "Pending"]

    assert len(waiting) == 2
    assert {pod.containers[0].state for pod in waiting} == {"waiting"}
    assert {pod.containers[0].reason for pod in waiting} == {"Queued"}


async def test_a_volume_that_refuses_to_go_is_named(place: Place, harness: LocalHarness) -> None:
    await place.harness.create_claim(place.name, "data")
    volume = await place.soon(lambda: _volume_of(place))
    await harness.cluster.attach_volume(volume.name, "another machine")

    await place.delete()
    await place.soon(place.is_gone)
    (survivor,) = await harness.cluster.list_volumes()

    assert survivor.phase == "Failed"
    assert survivor.claim == f"{place.name}/data"
    assert (harness.root / "volumes" / volume.name).is_dir()
    (event,) = [event for event in await harness.cluster.list_events("default") if volume.name in event.object]
    assert (event.type, event.reason) == ("Warning", "VolumeFailedDelete")
    assert "another machine" in event.message

    await harness.cluster.detach_volume(volume.name)
    await place.soon(lambda: _no_volumes(harness))
    assert not (harness.root / "volumes" / volume.name).exists()


async def test_a_volume_whose_folder_cannot_be_removed_is_named(place: Place, harness: LocalHarness) -> None:
    await place.harness.create_claim(place.name, "data")
    volume = await place.soon(lambda: _volume_of(place))
    folder = harness.root / "volumes" / volume.name
    folder.rmdir()
    folder.write_text("no folder")

    await place.delete()
    await place.soon(place.is_gone)

    (survivor,) = await harness.cluster.list_volumes()
    assert survivor.phase == "Failed"
    folder.unlink()
    await harness.cluster.detach_volume(volume.name)
    await place.soon(lambda: _no_volumes(harness))


async def test_a_bound_volume_is_not_removed(place: Place, harness: LocalHarness) -> None:
    await place.harness.create_claim(place.name, "data")
    volume = await place.soon(lambda: _volume_of(place))

    await harness.cluster.delete_volume(volume.name)
    await place.run("exit 0")
    await place.finished()

    assert (await _volume_of(place)) == volume
    with pytest.raises(NotFound):
        await harness.cluster.delete_volume("absent")


async def test_a_pod_whose_folder_cannot_be_removed_blocks_and_is_named(place: Place, harness: LocalHarness) -> None:
    await place.run("exit 0")
    await place.finished()
    (pod,) = await place.pods()
    folder = harness.root / "pods" / pod.uid
    remove_tree(folder)
    folder.write_text("no folder")

    await place.delete()
    record = await place.soon(lambda: _blocked(place))

    assert any("NamespaceContentRemaining" in sentence and pod.name in sentence for sentence in record)
    folder.unlink()
    await place.delete()
    await place.soon(place.is_gone)


@pytest.mark.parametrize("hours", [-25, 25])
def test_the_clock_is_the_machines_and_not_the_processs(hours: int) -> None:
    script = (
        f"import time; own = time.time; time.time = lambda: own() + {hours * 3600};"
        "from livecalc.cluster.local.clock import cluster_time; print(cluster_time(), cluster_time())"
    )

    answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout

    assert [float(text) for text in answer.split()] == pytest.approx([time.time()] * 2, abs=5)


async def test_specs_that_cannot_be_run_are_refused(place: Place) -> None:
    template = place.harness.shell("exit 0", env={"NUL": "\0"})
    with pytest.raises(InvalidInput):
        await place.cluster.create_job(
            place.name, JobSpec(name="job", partitions=1, template=template, deadline_seconds=60)
        )
    with pytest.raises(InvalidInput):
        await place.run("exit 0", partitions=0)
    with pytest.raises(InvalidInput):
        await place.run("exit 0", name="Not-A-Name")
    assert await place.cluster.list_jobs(place.name) == []


async def test_idle_nodes_leave(place: Place, harness: LocalHarness) -> None:
    await place.run("exit 0")
    await place.finished()
    node = int((harness.root / "node.lock").read_text())

    until(lambda: not Path(f"/proc/{node}").exists(), within=5)


async def _volume_of(place: Place) -> VolumeRecord | None:
    volumes = await place.cluster.list_volumes()
    return next((volume for volume in volumes if volume.claim.startswith(f"{place.name}/")), None)


async def _no_volumes(harness: LocalHarness) -> bool:
    return not await harness.cluster.list_volumes()


async def _blocked(place: Place) -> tuple[str, ...]:
    return (await place.record()).blockers
