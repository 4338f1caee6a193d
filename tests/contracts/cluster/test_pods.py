"""What every cluster must do with pods: what a container is given, how its end is told, and how it is stopped."""

from datetime import UTC, datetime

import pytest
from contracts.cluster_harness import Place

from livecalc.cluster.port import PodRecord, Termination
from livecalc.domain.errors import NotFound

pytestmark = pytest.mark.anyio


async def test_a_container_knows_its_pod(place: Place) -> None:
    script = (
        'echo "$JOB_COMPLETION_INDEX|$LIVECALC_NAMESPACE|$LIVECALC_POD_NAME|$LIVECALC_POD_UID|$PLAIN";'
        'test -d "$LIVECALC_SCRATCH" && echo scratch > "$LIVECALC_SCRATCH/file" && cat "$LIVECALC_SCRATCH/file"'
    )
    await place.run(script, partitions=2, env={"PLAIN": 'a "b" $c'})
    await place.finished()

    for pod in await place.pods():
        expected = f'{pod.index}|{place.name}|{pod.name}|{pod.uid}|a "b" $c\nscratch\n'
        assert (await place.log(pod.name)).decode() == expected


async def test_the_end_of_a_container_is_told(place: Place) -> None:
    await place.run("echo last words > $LIVECALC_TERMINATION_MESSAGE")
    await place.finished()

    pod, end = await _only_end(place)

    assert pod.phase == "Succeeded"
    assert not pod.alive
    assert (pod.reason, pod.message) == ("", "")
    assert pod.deletion_timestamp is None
    assert [container.name for container in pod.containers] == ["main"]
    assert pod.containers[0].kind == "main"
    assert pod.containers[0].restarts == 0
    assert pod.containers[0].previous is None
    assert (end.exit_code, end.reason, end.message) == (0, "Completed", "last words\n")
    assert end.started_at is not None
    assert end.finished_at is not None
    assert end.started_at <= end.finished_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 3", 3), ("kill -9 $$", 137), ("kill -15 $$", 143), ("kill -6 $$", 134)],
)
async def test_a_bad_end_says_how_a_shell_would(place: Place, script: str, code: int) -> None:
    await place.run(script)
    await place.finished()

    pod, end = await _only_end(place)

    assert pod.phase == "Failed"
    assert (end.exit_code, end.reason) == (code, "Error")


async def test_a_command_that_does_not_exist_is_a_bad_end(place: Place) -> None:
    template = place.harness.shell("exit 0")
    await place.harness.create_pod(
        place.name, "nowhere", type(template)(image=template.image, command=("/does/not/exist",))
    )

    pod = await place.ended("nowhere")

    assert pod.phase == "Failed"
    assert pod.containers[0].terminated is not None
    assert pod.containers[0].terminated.exit_code in {127, 128}
    assert pod.containers[0].terminated.reason


async def test_of_a_long_termination_message_the_last_4096_bytes_are_kept(place: Place) -> None:
    await place.run(
        "{ head -c 5000 /dev/zero | tr '\\0' a; printf '%s' END; } > $LIVECALC_TERMINATION_MESSAGE; exit 3",
    )
    await place.finished()

    _, end = await _only_end(place)

    assert end.message == "a" * 4093 + "END"


async def test_a_termination_message_that_is_no_text_is_still_told(place: Place) -> None:
    await place.run("head -c 5000 /dev/zero | tr '\\0' '\\377' > $LIVECALC_TERMINATION_MESSAGE; exit 3")
    await place.finished()

    _, end = await _only_end(place)

    assert end.exit_code == 3
    assert len(end.message.encode()) <= 4096


async def test_a_pod_over_its_memory_is_killed(place: Place) -> None:
    await place.run("exec tail /dev/zero", memory=64 << 20)
    await place.finished()

    pod, end = await _only_end(place)

    assert pod.phase == "Failed"
    assert (end.exit_code, end.reason) == (137, "OOMKilled")


async def test_a_pod_of_no_job_is_run_once(place: Place) -> None:
    await place.harness.create_pod(place.name, "foreign", place.harness.shell("echo once; exit 1"))

    pod = await place.ended("foreign")

    assert pod.phase == "Failed"
    assert pod.job == ""
    assert pod.index is None
    assert await place.log("foreign") == b"once\n"
    assert await place.cluster.list_jobs(place.name) == []
    assert len(await place.pods()) == 1


async def test_annotations_are_added_and_replaced(place: Place) -> None:
    await place.harness.create_pod(place.name, "pod", place.harness.shell("exit 0"))

    await place.cluster.annotate_pod(place.name, "pod", {"livecalc.io/progress": "1/10", "other": "x"})
    await place.cluster.annotate_pod(place.name, "pod", {"livecalc.io/progress": "2/10"})
    pod = await place.ended("pod")

    assert {"livecalc.io/progress": "2/10", "other": "x"}.items() <= pod.annotations.items()
    await place.cluster.annotate_pod(place.name, "pod", {"after": "the end"})
    assert (await place.ended("pod")).annotations["after"] == "the end"


async def test_a_missing_pod_is_not_annotated(place: Place) -> None:
    with pytest.raises(NotFound):
        await place.cluster.annotate_pod(place.name, "absent", {"a": "b"})


async def test_a_deleted_pod_is_asked_first(place: Place) -> None:
    await place.run("trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.1; done")
    (pod,) = await place.running()
    await place.soon(lambda: _has_printed(place, pod.name))

    await place.delete()

    assert await place.log(pod.name, follow=True) == b"ready\nasked\n"
    await place.soon(place.is_gone)


async def test_a_deleted_pod_that_does_not_listen_is_killed(place: Place) -> None:
    await place.run("trap '' TERM; echo ready; while :; do sleep 0.1; done")
    (pod,) = await place.running()
    await place.soon(lambda: _has_printed(place, pod.name))

    await place.delete()
    stopping = await place.pods()

    assert all(pod.deletion_timestamp is not None for pod in stopping)
    await place.soon(place.is_gone)
    assert await place.pods() == []


async def test_events_tell_what_happened_oldest_first(place: Place) -> None:
    await place.run("exit 3", retries=1)
    await place.finished()
    pods = await place.pods()

    events = await place.cluster.list_events(place.name)

    about = {event.object for event in events}
    assert {f"Pod/{pod.name}" for pod in pods} <= about
    assert "Job/job" in about
    assert [event.time for event in events] == sorted(event.time for event in events)
    assert {event.type for event in events} == {"Normal", "Warning"}
    assert all(event.reason and event.message and event.count >= 1 for event in events)
    assert "BackoffLimitExceeded" in {event.reason for event in events if event.object == "Job/job"}


async def _only_end(place: Place) -> tuple[PodRecord, Termination]:
    (pod,) = await place.pods()
    end = pod.containers[0].terminated
    assert pod.containers[0].state == "terminated"
    assert end is not None
    return pod, end


async def _has_printed(place: Place, pod: str) -> bool:
    return bool(await place.log(pod))
