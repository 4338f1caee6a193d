"""How jobs are finished by those who come late: from blobs, and from what a cluster still says."""

from pathlib import Path

import pytest
from support.platforms import ANA, STEADY, platform_at, push_model, run_job
from support.waiting import eventually

from livecalc.domain.jobs import JobState
from livecalc.jobs.service import SubmitRequest
from livecalc.records import paths
from livecalc.records.model import FinishedRecord
from livecalc.services import Platform
from livecalc.wire.jobs import Submitted

pytestmark = pytest.mark.anyio

DYING = """
import os, signal, time
from pathlib import Path

def parents():
    pid = os.getpid()
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        yield pid

def main(block, /):
    worker = next(pid for pid in parents() if b"livecalc.bootstrap.worker" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(worker, signal.SIGKILL)
    time.sleep(60)
"""


async def submit(platform: Platform, bundle: str) -> Submitted:
    request = SubmitRequest(bucket_id="b1", model_bundle_hash=bundle, partitions=2)
    return await platform.jobs.submit(ANA, request, request_id="test")


async def pods_ended(platform: Platform, namespace: str) -> None:
    async def ended() -> bool:
        jobs = await platform.cluster.list_jobs(namespace)
        return all(job.state in {"succeeded", "failed"} for job in jobs)

    await eventually(ended)


async def settle(platform: Platform, namespace: str) -> list[FinishedRecord]:
    collector = platform.jobs._collector  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (the one the reaper uses)
    settled = await collector.settle(await platform.cluster.get_namespace(namespace))
    return [job.finished for job in settled if job.finished is not None]


async def test_a_job_that_nobody_watched_is_finished_once_by_whoever_comes(platform: Platform, tmp_path: Path) -> None:
    submitted = await submit(platform, await push_model(platform, tmp_path / "m", STEADY))
    await pods_ended(platform, submitted.namespace)
    [first] = await settle(platform, submitted.namespace)
    assert first.state is JobState.SUCCEEDED
    [again] = await settle(platform, submitted.namespace)
    assert again == first
    assert (await platform.jobs.get(ANA, submitted.job_id)).result_hash == first.result_hash


async def test_the_reaper_tells_from_the_pods_why_a_job_failed(platform: Platform, tmp_path: Path) -> None:
    submitted = await submit(platform, await push_model(platform, tmp_path / "m", DYING))
    await pods_ended(platform, submitted.namespace)
    [end] = await settle(platform, submitted.namespace)
    assert end.state is JobState.FAILED
    assert "with exit 137" in (end.error or "")
    assert end.retries > 0


async def test_results_without_a_cluster_are_collected_from_blobs_alone(tmp_path: Path) -> None:
    async with platform_at(tmp_path / "home") as platform:
        bundle = await push_model(platform, tmp_path / "m", STEADY)
        reference = await run_job(platform, bundle)
        submitted = await submit(platform, bundle)
        await pods_ended(platform, submitted.namespace)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (tmp_path / "home" / "blobs").rename(fresh / "blobs")
    async with platform_at(fresh) as platform:
        job = await platform.jobs.get(ANA, submitted.job_id)
        assert (job.state, job.result_hash) == ("succeeded", reference.result_hash)


async def test_grants_are_forgotten_when_the_job_has_ended(platform: Platform, tmp_path: Path) -> None:
    job = await run_job(platform, await push_model(platform, tmp_path / "m", STEADY))
    names = [info.name async for info in platform.blobs.list_blobs(paths.results_container(ANA.tenant_key))]
    assert paths.finished(job.job_id) in names
    assert paths.task(job.job_id) not in names
