"""Recomputation: a match, a mismatch that is named, and nothing left behind."""

import stat
from pathlib import Path

import anyio
import pytest
from support.platforms import ANA, BOB, STEADY, platform_at, push_model, run_job
from support.waiting import eventually

from livecalc.domain.errors import Conflict, NotFound
from livecalc.records import paths
from livecalc.services import Platform
from livecalc.wire.jobs import Job
from livecalc.wire.mttc import Verified, VerifyRequest

pytestmark = pytest.mark.anyio

WAVERING = """
import os

def main(block, /):
    values = block.normals(1)[:, 0]
    marker = {marker!r}
    if os.path.exists(marker) and block.first == 8:
        values[3] += 1e-9
    return values
"""


async def verify(platform: Platform, job: Job) -> Verified:
    request = VerifyRequest(bucket_id=job.bucket_id, model_bundle_hash=job.model_bundle_hash, job_id=job.job_id)
    return await platform.recomputer.verify(ANA, request, request_id="test")


async def test_only_the_blobs_are_needed(tmp_path: Path) -> None:
    async with platform_at(tmp_path / "home") as platform:
        job = await run_job(platform, await push_model(platform, tmp_path / "m", STEADY), partitions=2)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (tmp_path / "home" / "blobs").rename(fresh / "blobs")
    async with platform_at(fresh) as platform:
        verified = await verify(platform, job)
        assert verified.success, verified.message
        assert verified.original_result_hash == verified.resumed_result_hash == job.result_hash


async def test_a_recomputation_leaves_no_namespace_no_job_and_no_result(platform: Platform, tmp_path: Path) -> None:
    job = await run_job(platform, await push_model(platform, tmp_path / "m", STEADY))
    container = paths.results_container(ANA.tenant_key)
    before = [info.name async for info in platform.blobs.list_blobs(container)]
    await verify(platform, job)
    after = [info.name async for info in platform.blobs.list_blobs(container)]
    new = set(after) - set(before)
    assert [name.startswith(paths.recomputed_prefix(job.job_id)) for name in new] == [True]
    names = [record.name for record in (await platform.cluster.list_namespaces({})).items]
    assert names == [job.namespace]
    assert [each.job_id for each in await platform.jobs.list_jobs(ANA)] == [job.job_id]


async def test_a_mismatch_names_the_first_differing_block_and_value(platform: Platform, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    bundle = await push_model(platform, tmp_path / "m", WAVERING.format(marker=str(marker)), count=24)
    job = await run_job(platform, bundle)
    marker.touch()
    verified = await verify(platform, job)
    assert not verified.match
    assert not verified.success
    assert verified.message == "MTTC verification failed: the recomputation gave another result"
    found = verified.first_difference
    assert found is not None
    assert (found.output, found.block, found.first, found.stop, found.scenario) == ("npv", 1, 8, 16, 11)
    assert (found.blocks_differing, found.blocks_total) == (1, 3)
    assert (found.values_differing, found.values_total) == (1, 24)
    assert found.original is not None
    assert found.resumed == pytest.approx(found.original + 1e-9, abs=1e-12)
    [recorded] = (await platform.jobs.get(ANA, job.job_id)).recomputations
    assert not recorded.match


async def test_a_changed_byte_in_a_stored_result_is_a_mismatch(platform: Platform, tmp_path: Path) -> None:
    job = await run_job(platform, await push_model(platform, tmp_path / "m", STEADY), partitions=1)
    folder = tmp_path / "home" / "blobs" / paths.results_container(ANA.tenant_key) / "jobs" / job.job_id / "partitions"
    [blob] = folder.iterdir()
    content = bytearray(blob.read_bytes())
    at = content.index(b"\x93NUMPY") + 128 + 3
    content[at] ^= 1
    blob.chmod(stat.S_IRUSR | stat.S_IWUSR)
    blob.write_bytes(content)
    verified = await verify(platform, job)
    assert not verified.match
    assert "the original's stored result is damaged" in verified.message
    assert verified.resumed_result_hash == job.result_hash


async def test_any_changed_byte_of_a_stored_result_is_a_mismatch(platform: Platform, tmp_path: Path) -> None:
    job = await run_job(platform, await push_model(platform, tmp_path / "m", STEADY), partitions=1)
    folder = tmp_path / "home" / "blobs" / paths.results_container(ANA.tenant_key) / "jobs" / job.job_id / "partitions"
    [blob] = folder.iterdir()
    whole = blob.read_bytes()
    blob.chmod(stat.S_IRUSR | stat.S_IWUSR)
    for at in (10, len(whole) - 100, len(whole) - 1):
        blob.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        verified = await verify(platform, job)
        assert not verified.match, at
        assert "the original's stored result is damaged" in verified.message


async def test_a_recomputation_that_is_cancelled_says_so_and_shows_no_difference(tmp_path: Path) -> None:
    code = "import time\n\ndef main(block, /):\n    time.sleep(0.2)\n    return block.normals(1)[:, 0]\n"
    async with platform_at(tmp_path / "home") as platform:
        job = await run_job(platform, await push_model(platform, tmp_path / "m", code))

        async def cancel_it() -> None:
            async def there() -> bool:
                listed = (await platform.cluster.list_namespaces({})).items
                names = [record.name for record in listed if record.bucket_id.startswith("mttc-")]
                jobs = [(name, each.name) for name in names for each in await platform.cluster.list_jobs(name)]
                for name, each in jobs:
                    await platform.cluster.cancel_job(name, each)
                return bool(jobs)

            await eventually(there)

        verified = None
        async with anyio.create_task_group() as group:
            group.start_soon(cancel_it)
            with anyio.fail_after(60):
                verified = await verify(platform, job)
        assert verified is not None
        assert not verified.match
        assert "the recomputation cancelled" in verified.message
        assert verified.first_difference is None


async def test_the_latest_succeeded_job_of_bucket_and_bundle_is_taken(platform: Platform, tmp_path: Path) -> None:
    bundle = await push_model(platform, tmp_path / "m", STEADY)
    jobs = [await run_job(platform, bundle) for _ in range(2)]
    request = VerifyRequest(bucket_id="b1", model_bundle_hash=bundle)
    verified = await platform.recomputer.verify(ANA, request, request_id="test")
    assert verified.original_job_id == max(job.job_id for job in jobs)


async def test_what_does_not_exist_for_the_caller_is_not_found(platform: Platform, tmp_path: Path) -> None:
    job = await run_job(platform, await push_model(platform, tmp_path / "m", STEADY))
    request = VerifyRequest(bucket_id="b1", model_bundle_hash=job.model_bundle_hash, job_id=job.job_id)
    with pytest.raises(NotFound):
        await platform.recomputer.verify(BOB, request, request_id="test")
    for wrong in (
        VerifyRequest(bucket_id="b2", model_bundle_hash=job.model_bundle_hash),
        VerifyRequest(bucket_id="b1", model_bundle_hash="0" * 64),
        VerifyRequest(bucket_id="b2", model_bundle_hash=job.model_bundle_hash, job_id=job.job_id),
    ):
        with pytest.raises(NotFound):
            await platform.recomputer.verify(ANA, wrong, request_id="test")


async def test_a_failed_job_cannot_be_recomputed(platform: Platform, tmp_path: Path) -> None:
    bundle = await push_model(platform, tmp_path / "m", "def main(block, /):\n    raise ValueError\n")
    job = await run_job(platform, bundle)
    with pytest.raises(Conflict, match="has no result to compare with"):
        await verify(platform, job)


async def test_a_late_match_is_a_match_without_success(tmp_path: Path) -> None:
    async with platform_at(tmp_path / "home", MTTC_TARGET_SECONDS="0.001") as platform:
        job = await run_job(platform, await push_model(platform, tmp_path / "m", STEADY))
        verified = await verify(platform, job)
    assert verified.match
    assert not verified.success
    assert "late" in verified.message
