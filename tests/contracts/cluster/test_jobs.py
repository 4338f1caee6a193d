"""What every cluster must do with jobs: indexes, retries, ends that are final, deadlines, cancel and delete."""

from datetime import timedelta

import pytest
from contracts.cluster_harness import Place

from livecalc.cluster.port import ClusterJob, JobSpec
from livecalc.domain.errors import AlreadyExists, NotFound

pytestmark = pytest.mark.anyio

HANG = "sleep 300"


async def test_a_job_runs_each_index_once_and_succeeds(place: Place) -> None:
    created = await place.run("exit 0", partitions=3)

    done = await place.finished()
    pods = await place.pods()

    assert created.state == "pending"
    assert created.partitions == 3
    assert created.finished_at is None
    assert done.state == "succeeded"
    assert done.uid == created.uid
    assert done.namespace == place.name
    assert (done.reason, done.message) == ("", "")
    assert done.succeeded == {0, 1, 2}
    assert done.started_at is not None
    assert done.finished_at is not None
    assert done.created_at <= done.started_at + timedelta(seconds=1)
    assert done.started_at <= done.finished_at
    assert sorted(pod.index or 0 for pod in pods) == [0, 1, 2]
    assert {pod.job for pod in pods} == {"job"}
    assert {pod.phase for pod in pods} == {"Succeeded"}
    assert [pod.name for pod in pods] == sorted(pod.name for pod in pods)


async def test_labels_of_the_template_are_on_the_job_and_its_pods(place: Place) -> None:
    labels = {"livecalc.io/job-id": "j-01jdx4m8k3q7"}
    template = place.harness.shell("exit 0")
    spec = JobSpec(
        name="job",
        partitions=1,
        template=type(template)(image=template.image, command=template.command, labels=labels),
        deadline_seconds=60,
    )

    await place.cluster.create_job(place.name, spec)
    job = await place.finished()

    assert labels.items() <= job.labels.items()
    assert all(labels.items() <= pod.labels.items() for pod in await place.pods())


async def test_a_job_is_running_while_a_pod_runs(place: Place) -> None:
    await place.run(HANG)
    (pod,) = await place.running()
    job = await place.job()

    assert job.state == "running"
    assert job.started_at is not None
    assert job.finished_at is None
    assert pod.alive
    assert pod.node
    assert pod.containers[0].state == "running"
    assert pod.containers[0].started_at is not None


async def test_a_job_name_is_given_once_per_namespace(place: Place) -> None:
    await place.run("exit 0")

    with pytest.raises(AlreadyExists):
        await place.run("exit 0")
    await place.run("exit 0", name="another")
    assert [job.name for job in await place.cluster.list_jobs(place.name)] == ["another", "job"]


async def test_an_index_is_tried_again_and_then_fails_the_job(place: Place) -> None:
    script = 'if [ "$JOB_COMPLETION_INDEX" = 1 ]; then exit 3; fi; exit 0'
    await place.run(script, partitions=2, retries=2)

    job = await place.finished()
    pods = await place.pods()

    assert job.state == "failed"
    assert job.reason == "BackoffLimitExceeded"
    assert job.message
    assert job.succeeded == {0}
    assert [pod.phase for pod in pods if pod.index == 0] == ["Succeeded"]
    assert [pod.phase for pod in pods if pod.index == 1] == ["Failed"] * 3


async def test_when_an_index_fails_for_good_the_others_are_stopped(place: Place) -> None:
    script = f'if [ "$JOB_COMPLETION_INDEX" = 1 ]; then exit 3; fi; {HANG}'
    await place.run(script, partitions=2)

    job = await place.finished()

    assert (job.state, job.reason) == ("failed", "BackoffLimitExceeded")
    assert not any(pod.alive for pod in await place.pods())


@pytest.mark.parametrize("code", [10, 11, 12])
async def test_a_final_exit_fails_the_job_at_once(place: Place, code: int) -> None:
    script = f'if [ "$JOB_COMPLETION_INDEX" = 0 ]; then exit {code}; fi; {HANG}'
    await place.run(script, partitions=2, retries=3, final_exits=frozenset({10, 11, 12}))

    job = await place.finished()
    pods = await place.pods()

    assert (job.state, job.reason) == ("failed", "PodFailurePolicy")
    assert job.message
    (first,) = [pod for pod in pods if pod.index == 0]
    assert first.containers[0].terminated is not None
    assert first.containers[0].terminated.exit_code == code
    assert not any(pod.alive for pod in pods)


async def test_any_other_exit_is_tried_again(place: Place) -> None:
    await place.run("kill -9 $$", retries=1, final_exits=frozenset({10, 11, 12}))

    job = await place.finished()

    assert job.reason == "BackoffLimitExceeded"
    assert len(await place.pods()) == 2


async def test_a_job_past_its_deadline_is_stopped(place: Place) -> None:
    await place.run(HANG, partitions=2, deadline_seconds=1, retries=3)

    job = await place.finished()

    assert (job.state, job.reason) == ("failed", "DeadlineExceeded")
    assert job.message
    assert job.finished_at is not None
    assert job.finished_at - job.created_at >= timedelta(seconds=1)
    assert not any(pod.alive for pod in await place.pods())


async def test_a_cancelled_job_stays_to_be_read(place: Place) -> None:
    await place.run(HANG, partitions=2)
    await place.running(2)

    await place.cluster.cancel_job(place.name, "job")
    job = await place.finished()

    assert (job.state, job.reason) == ("failed", "Cancelled")
    pods = await place.pods()
    assert len(pods) == 2
    assert not any(pod.alive for pod in pods)


async def test_cancelling_before_a_pod_runs_is_the_same(place: Place) -> None:
    await place.run(HANG, partitions=40)

    await place.cluster.cancel_job(place.name, "job")
    await place.cluster.cancel_job(place.name, "job")
    job = await place.finished()

    assert (job.state, job.reason) == ("failed", "Cancelled")
    pods = await place.pods()
    assert not any(pod.alive for pod in pods)
    # Without a reason nobody could tell whether it started.
    assert all(each.reason for pod in pods for each in pod.containers if each.state == "waiting")


@pytest.mark.parametrize(("script", "state"), [("exit 0", "succeeded"), ("exit 1", "failed")])
async def test_cancelling_a_finished_job_changes_nothing(place: Place, script: str, state: str) -> None:
    await place.run(script)
    before = await place.finished()

    await place.cluster.cancel_job(place.name, "job")

    assert before.state == state
    assert await place.job() == before


async def test_a_deleted_job_goes_with_its_pods(place: Place) -> None:
    await place.run(HANG, partitions=2)
    await place.run("exit 0", name="kept")
    await place.running(2)
    kept = await place.finished("kept")

    await place.cluster.delete_job(place.name, "job")

    await place.soon(lambda: _only(place, kept))
    assert {pod.job for pod in await place.pods()} == {"kept"}


async def test_a_finished_job_can_be_deleted_and_its_name_given_again(place: Place) -> None:
    first = await place.run("exit 0")
    await place.finished()
    await place.cluster.delete_job(place.name, "job")
    await place.soon(lambda: _nothing(place))

    second = await place.run("exit 0")

    assert second.uid != first.uid
    assert (await place.finished()).uid == second.uid


async def test_a_missing_job_is_not_found(place: Place) -> None:
    with pytest.raises(NotFound):
        await place.cluster.cancel_job(place.name, "absent")
    with pytest.raises(NotFound):
        await place.cluster.delete_job(place.name, "absent")


async def test_pods_of_a_finished_job_stay_to_be_read(place: Place) -> None:
    await place.run("echo kept")
    await place.finished()
    (pod,) = await place.pods()

    await place.run("exit 0", name="another")
    await place.finished("another")

    assert pod in await place.pods()
    assert await place.log(pod.name) == b"kept\n"


async def test_secrets_are_seen_by_the_container_alone(place: Place) -> None:
    template = place.harness.shell('test "$TOKEN" = hush-hush-hush && test "$PLAIN" = seen', env={"PLAIN": "seen"})
    spec = JobSpec(
        name="job",
        partitions=1,
        template=type(template)(
            image=template.image, command=template.command, env=template.env, secret={"TOKEN": "hush-hush-hush"}
        ),
        retries=0,
        deadline_seconds=60,
    )

    await place.cluster.create_job(place.name, spec)
    job = await place.finished()

    assert job.state == "succeeded"
    shown = repr([job, await place.pods(), await place.cluster.list_events(place.name), await place.record()])
    assert "hush" not in shown


async def _only(place: Place, job: ClusterJob) -> bool:
    jobs = await place.cluster.list_jobs(place.name)
    return [other.name for other in jobs] == [job.name] and len(await place.pods()) == job.partitions


async def _nothing(place: Place) -> bool:
    return not await place.cluster.list_jobs(place.name) and not await place.pods()
