"""Heartbeats, submits, finalizes and reapers over the same buckets; and the single races that they brought to light."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from support.bundles import bundle, model_files
from support.waiting import eventually

from livecalc.bootstrap.service import open_platform
from livecalc.domain.tenants import Principal
from livecalc.jobs.service import SubmitRequest
from livecalc.records.book import JobBook
from livecalc.records.collect import ClusterView, Collector
from livecalc.services import Platform
from livecalc.settings import load

pytestmark = pytest.mark.anyio
ANA = Principal(tenant_id="acme", user_id="ana")


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with open_platform(load({"LIVECALC_HOME": str(tmp_path / "home")})) as opened:
        yield opened


async def test_a_job_has_ended_only_when_its_pods_have(platform: Platform, tmp_path: Path) -> None:
    """Else `submit --wait` succeeds, and the `finalize` after it says that the job still runs."""
    (tmp_path / "b.zip").write_bytes(bundle(model_files()))
    pushed = await platform.bundles.push(ANA.tenant_key, tmp_path / "b.zip")
    request = SubmitRequest(bucket_id="b", model_bundle_hash=pushed.model_bundle_hash, partitions=2)
    submitted = await platform.jobs.submit(ANA, request, request_id="r")
    book = JobBook(platform.blobs)
    collector = Collector(book, platform.cluster, platform.audit)
    record = await book.submitted(ANA.tenant_key, submitted.job_id)

    async def ended() -> ClusterView | None:
        view = await collector.observe(record)
        return view if view.job is not None and view.job.state == "succeeded" else None

    after = await eventually(ended)
    assert after is not None
    assert after.job is not None
    # What the cluster said a moment before: all results are stored, and the last worker has not left yet.
    before = msgspec.structs.replace(after, job=msgspec.structs.replace(after.job, state="running", finished_at=None))
    assert await collector.conclude(ANA.tenant_key, record, before) is None
    assert await book.finished(ANA.tenant_key, submitted.job_id) is None
    end = await collector.conclude(ANA.tenant_key, record, after)
    assert end is not None
    assert end.state == "succeeded"
