"""Jobs as callers see them: what is refused, what is listed, how they end."""

from pathlib import Path

import anyio
import pytest
from support.platforms import ANA, BOB, STEADY, push_model, run_job
from support.waiting import eventually

from livecalc.domain.errors import Conflict, InvalidInput, NotFound
from livecalc.domain.jobs import JobState
from livecalc.jobs.service import SubmitRequest
from livecalc.services import Platform

pytestmark = pytest.mark.anyio

HANGING = """
import time

def main(block, /):
    while True:
        time.sleep(0.05)
"""
RAISING = """
def main(block, /):
    raise ValueError("no such table")
"""


async def test_a_job_succeeds_and_says_what_it_did(platform: Platform, tmp_path: Path) -> None:
    bundle = await push_model(platform, tmp_path / "m", STEADY)
    job = await run_job(platform, bundle, partitions=2, labels={"basis": "best"}, name="first")
    assert (job.state, job.error) == ("succeeded", None)
    assert (job.partitions.done, job.partitions.total) == (2, 2)
    assert (job.scenarios.done, job.scenarios.total) == (16, 16)
    whole = await platform.jobs.get(ANA, job.job_id)
    assert [(node.id, node.blocks.done) for node in whole.nodes] == [("main", 2)]
    assert whole.environment["numpy"]
    log = b"".join([chunk async for chunk in platform.jobs.logs(ANA, job.job_id)])
    assert b"computing 0\n" in log
    assert b"computing 8\n" in log


async def test_the_result_does_not_depend_on_the_number_of_partitions(platform: Platform, tmp_path: Path) -> None:
    bundle = await push_model(platform, tmp_path / "m", STEADY, count=40)
    hashes = {(await run_job(platform, bundle, partitions=parts)).result_hash for parts in (1, 2, 5)}
    assert len(hashes) == 1
    assert None not in hashes


async def test_a_models_error_fails_the_job_with_its_reason(platform: Platform, tmp_path: Path) -> None:
    job = await run_job(platform, await push_model(platform, tmp_path / "m", RAISING))
    assert job.state == "failed"
    assert "no such table" in (job.error or "")
    assert job.retries == 0
    with pytest.raises(Conflict, match="has no result"):
        await platform.jobs.result(ANA, job.job_id)


async def test_a_job_over_its_deadline_fails(platform: Platform, tmp_path: Path) -> None:
    job = await run_job(platform, await push_model(platform, tmp_path / "m", HANGING), deadline_seconds=1.0)
    assert (job.state, job.error) == ("failed", "deadline of 1 s exceeded")


async def test_a_cancelled_job_stays_cancelled_and_its_pods_end(platform: Platform, tmp_path: Path) -> None:
    bundle = await push_model(platform, tmp_path / "m", HANGING)
    submitted = await platform.jobs.submit(
        ANA, SubmitRequest(bucket_id="b1", model_bundle_hash=bundle), request_id="test"
    )

    async def runs() -> bool:
        return (await platform.jobs.get(ANA, submitted.job_id)).state == "running"

    await eventually(runs)
    job = await platform.jobs.cancel(ANA, submitted.job_id, request_id="test")
    assert (job.state, job.error) == ("cancelled", "cancelled")
    assert (await platform.jobs.cancel(ANA, submitted.job_id, request_id="again")).state == "cancelled"

    async def ended() -> bool:
        return not any(pod.alive for pod in await platform.cluster.list_pods(submitted.namespace))

    await eventually(ended)
    assert (await platform.jobs.get(ANA, submitted.job_id)).state == "cancelled"


async def test_jobs_are_listed_newest_first_and_by_state_label_and_bucket(platform: Platform, tmp_path: Path) -> None:
    good = await push_model(platform, tmp_path / "good", STEADY)
    bad = await push_model(platform, tmp_path / "bad", RAISING)
    first = await run_job(platform, good, "b1", labels={"run": "1"})
    second = await run_job(platform, bad, "b2", labels={"run": "2"})
    listed = [job.job_id for job in await platform.jobs.list_jobs(ANA)]
    assert set(listed) == {first.job_id, second.job_id}
    assert [job.job_id for job in await platform.jobs.list_jobs(ANA, bucket_id="b1")] == [first.job_id]
    assert [job.job_id for job in await platform.jobs.list_jobs(ANA, state=JobState.FAILED)] == [second.job_id]
    assert [job.job_id for job in await platform.jobs.list_jobs(ANA, labels={"run": "1"})] == [first.job_id]
    assert len(await platform.jobs.list_jobs(ANA, limit=1)) == 1
    assert await platform.jobs.list_jobs(BOB) == []


async def test_another_tenants_job_is_not_found(platform: Platform, tmp_path: Path) -> None:
    job = await run_job(platform, await push_model(platform, tmp_path / "m", STEADY))
    with pytest.raises(NotFound):
        await platform.jobs.get(BOB, job.job_id)
    with pytest.raises(NotFound):
        await platform.jobs.cancel(BOB, job.job_id, request_id="test")
    with pytest.raises(NotFound):
        await platform.jobs.result(BOB, job.job_id)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bucket_id": "Q4"}, "bucket id 'Q4' is not valid"),
        ({"bucket_id": "mttc-1"}, "reserved for recomputations"),
        ({"partitions": 0}, "partitions=0 is not valid"),
        ({"deadline_seconds": 0.0}, "deadline_seconds=0 is not valid"),
        ({"deadline_seconds": 1e9}, "deadline_seconds=1e.09 is not valid"),
        ({"deadline_seconds": float("nan")}, "deadline_seconds=nan is not valid"),
        ({"name": "a\nb"}, "name 'a.*b' is not valid"),
        ({"labels": {"": "x"}}, "label '' is not valid"),
        ({"labels": {"k": "x" * 64}}, "label 'k' is not valid"),
    ],
)
async def test_a_wrong_submit_is_refused_in_one_sentence(
    platform: Platform, tmp_path: Path, options: dict[str, object], said: str
) -> None:
    bundle = await push_model(platform, tmp_path / "m", STEADY)
    request = SubmitRequest(**{"bucket_id": "b1", "model_bundle_hash": bundle, **options})  # pyright: ignore[reportArgumentType]  (wrong on purpose)
    with pytest.raises(InvalidInput, match=said):
        await platform.jobs.submit(ANA, request, request_id="test")
    assert not (await platform.cluster.list_namespaces({})).items


async def test_a_bundle_that_was_not_pushed_is_not_found(platform: Platform) -> None:
    request = SubmitRequest(bucket_id="b1", model_bundle_hash="0" * 64)
    with pytest.raises(NotFound):
        await platform.jobs.submit(ANA, request, request_id="test")


async def test_a_finalized_bucket_takes_no_job_and_leaves_no_record_of_the_try(
    platform: Platform, tmp_path: Path
) -> None:
    bundle = await push_model(platform, tmp_path / "m", STEADY)
    job = await run_job(platform, bundle)
    await platform.namespaces.finalize_namespace(ANA, job.namespace, force=False, request_id="test")
    with pytest.raises(Conflict, match="finalized"):
        await run_job(platform, bundle)
    assert [each.job_id for each in await platform.jobs.list_jobs(ANA)] == [job.job_id]


async def test_following_a_log_ends_with_the_job(platform: Platform, tmp_path: Path) -> None:
    bundle = await push_model(platform, tmp_path / "m", STEADY)
    submitted = await platform.jobs.submit(
        ANA, SubmitRequest(bucket_id="b1", model_bundle_hash=bundle, partitions=2), request_id="test"
    )
    with anyio.fail_after(30):
        log = b"".join([chunk async for chunk in platform.jobs.logs(ANA, submitted.job_id, follow=True)])
    assert {line.partition(b"] ")[0][:-6].decode() for line in log.splitlines()} == {
        f"[{submitted.job_id}-{index}" for index in range(2)
    }
    assert log.count(b"] computing 0\n") == log.count(b"] computing 8\n") == 1


LOUD = """
import sys

def main(block, /):
    line = "x" * 99 + "\\n"
    for _ in range(120_000):
        sys.stdout.write(line)
    return block.normals(1)[:, 0]
"""


async def test_the_log_of_an_ended_worker_is_whole_though_its_node_rotated_it(
    platform: Platform, tmp_path: Path
) -> None:
    job = await run_job(platform, await push_model(platform, tmp_path / "m", LOUD), partitions=1)
    assert job.state == "succeeded"
    size = 0
    async for chunk in platform.jobs.logs(ANA, job.job_id):
        size += len(chunk)
    assert size > 2 * 120_000 * 100


async def test_a_job_whose_cancelling_was_cut_off_ends_as_cancelled(platform: Platform, tmp_path: Path) -> None:
    bundle = await push_model(platform, tmp_path / "m", HANGING)
    request = SubmitRequest(bucket_id="b1", model_bundle_hash=bundle)
    submitted = await platform.jobs.submit(ANA, request, request_id="test")
    await platform.cluster.cancel_job(submitted.namespace, submitted.job_id)

    async def ended() -> bool:
        return (await platform.jobs.get(ANA, submitted.job_id)).state == "cancelled"

    await eventually(ended)


async def test_what_is_audited_before_a_submit_says_what_will_be_done(platform: Platform, tmp_path: Path) -> None:
    bundle = await push_model(platform, tmp_path / "m", STEADY)
    await run_job(platform, bundle, name="first", labels={"basis": "best"})
    [intent] = [
        record
        for record in await platform.audit.read(ANA.tenant_id)
        if (record.operation, record.phase) == ("submit", "intent")
    ]
    assert intent.detail == {"model_bundle_hash": bundle, "name": "first", "labels": {"basis": "best"}}


@pytest.mark.parametrize("bucket", ["", "../x", "UPPER", "a/b"])
async def test_no_bucket_has_no_jobs(platform: Platform, bucket: str) -> None:
    assert await platform.jobs.list_jobs(ANA, bucket_id=bucket) == []


async def test_the_same_key_is_the_same_job_also_at_once_and_after_the_bucket_is_finalized(
    platform: Platform, tmp_path: Path
) -> None:
    bundle = await push_model(platform, tmp_path / "m", STEADY)
    request = SubmitRequest(bucket_id="b1", model_bundle_hash=bundle, submit_key="run 7")
    ids: list[str] = []

    async def submit() -> None:
        ids.append((await platform.jobs.submit(ANA, request, request_id="test")).job_id)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(submit)
    await submit()
    assert len(set(ids)) == 1
    assert [job.job_id for job in await platform.jobs.list_jobs(ANA)] == [ids[0]]
    last = [job async for job in platform.jobs.events(ANA, ids[0])][-1]
    assert last.state == "succeeded"
    await platform.namespaces.finalize_namespace(ANA, last.namespace, force=False, request_id="test")
    await submit()
    assert len(set(ids)) == 1
    other = await push_model(platform, tmp_path / "other", STEADY, count=24)
    with pytest.raises(Conflict, match="was used for job"):
        await platform.jobs.submit(
            ANA, SubmitRequest(bucket_id="b1", model_bundle_hash=other, submit_key="run 7"), request_id="test"
        )
