"""Heartbeats, submits, finalizes and reapers over the same buckets; and the single races that they brought to light."""

import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from attack.interleavings_race import BUCKETS, ROLES, quick_home, race
from attack.interleavings_rest import flaws_at_rest
from attack.interleavings_verdict import judge
from attack.interleavings_world import WITNESS, open_world
from contracts.cluster_harness import wait_for_node_to_leave
from lifecycle.stage import open_stage, submitted_record
from lifecycle.taps import tap
from support.bundles import bundle, model_files
from support.waiting import eventually

from livecalc.bootstrap.service import open_platform
from livecalc.cluster.port import JobSpec, PodTemplate
from livecalc.domain.errors import Conflict, Reaping
from livecalc.domain.jobs import new_job_id
from livecalc.domain.receipts import ArchiveWaiver
from livecalc.domain.tenants import Principal
from livecalc.jobs.service import SubmitRequest
from livecalc.lifecycle.activity import begin_submit, check_still_active, confirm_submit
from livecalc.lifecycle.outcome import SweepReport
from livecalc.records.book import JobBook
from livecalc.records.collect import Collector
from livecalc.records.ends import ClusterView
from livecalc.services import Platform
from livecalc.settings import load

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
INTERLEAVINGS = 10_000 if os.environ.get("LIVECALC_ATTACK") == "full" else 500
"""One is a bucket in a wave: two submits, two heartbeats, a finalize and a day that passes, and two reapers."""
SEED = int(os.environ.get("LIVECALC_SEED") or secrets.randbelow(1 << 32))
ANA = Principal(tenant_id="acme", user_id="ana")


async def test_no_interleaving_deletes_what_is_active_or_leaves_what_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with quick_home() as home:
        await race(home, seed=SEED, waves=INTERLEAVINGS // BUCKETS)
        verdict = judge(sorted(home.glob("*.journal")), home / WITNESS)
        async with open_world(home, "after") as world:
            verdict.broken += [flaw async for flaw in flaws_at_rest(world, verdict)]
        wait_for_node_to_leave(home / "cluster")
    with capsys.disabled():
        print(f"\n{INTERLEAVINGS} interleavings, seed {SEED} (LIVECALC_SEED)\n{verdict.report()}")  # noqa: T201  (the attack's figures)
    assert not verdict.broken, "\n".join(verdict.broken)
    assert sum(verdict.acts.values()) == INTERLEAVINGS * len(ROLES)
    assert sum(verdict.conflicts.values()) > 0
    assert verdict.why["active"] > 0
    assert verdict.why["finalized"] > 0


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
    assert await book.finished(ANA.tenant_key, record) is None
    end = await collector.conclude(ANA.tenant_key, record, after)
    assert end is not None
    assert end.state == "succeeded"


async def test_a_job_that_is_being_forgotten_is_in_no_list(platform: Platform) -> None:
    """Its index goes last, so that there is a moment, or after a kill for ever, with an index and no record."""
    await platform.blobs.write("results-acme", "buckets/b/j-01jdx4m8k3q7", b"")
    await platform.namespaces.create_namespace(ANA, "b", request_id="r")
    await platform.namespaces.finalize_namespace(ANA, "livecalc-bucket-b", force=False, request_id="r")

    assert await platform.jobs.list_jobs(ANA) == await platform.jobs.list_jobs(ANA, bucket_id="b") == []
    report = await platform.reaper.sweep()

    assert (report.successful, report.failed) == (1, 0)
    [archive] = await platform.diagnostics.list_archives(ANA, "b")
    assert archive.state == "Complete"


async def test_an_archive_knows_the_jobs_of_its_own_namespace_alone(platform: Platform) -> None:
    """A bucket's id is free again after a reap; its next life neither reads nor lists the jobs of the lives before."""
    now = await platform.cluster.now()
    namespace, _ = await platform.namespaces.create_namespace(ANA, "b", request_id="r")
    book = JobBook(platform.blobs)
    for day in range(3):
        submitted = submitted_record(namespace, new_job_id(now - timedelta(days=day), 7))
        await book.open_job(ANA.tenant_key, submitted)
    await platform.namespaces.finalize_namespace(ANA, namespace.name, force=False, request_id="r")
    await platform.reaper.sweep()

    [archive] = await platform.diagnostics.list_archives(ANA, "b")
    manifest = json.loads(await platform.diagnostics.manifest(ANA, "b", archive.timestamp))
    assert [job["job_id"] for job in manifest["jobs"]] == [new_job_id(now, 7)]


async def test_a_damaged_record_is_named_in_the_archive_and_hides_no_other(platform: Platform) -> None:
    namespace, _ = await platform.namespaces.create_namespace(ANA, "b", request_id="r")
    now = await platform.cluster.now()
    book = JobBook(platform.blobs)
    damaged, cut, good = (new_job_id(now, number) for number in (1, 2, 3))
    for job_id in (damaged, good):
        await book.open_job(ANA.tenant_key, submitted_record(namespace, job_id))
    await platform.blobs.write("results-acme", f"jobs/{damaged}/finished.json", b"{}")
    await platform.blobs.write("results-acme", f"jobs/{cut}/submitted.json", b"{")
    await platform.blobs.write("results-acme", f"buckets/b/{cut}", b"")
    await platform.namespaces.finalize_namespace(ANA, namespace.name, force=False, request_id="r")
    assert (await platform.reaper.sweep()).successful == 1

    [archive] = await platform.diagnostics.list_archives(ANA, "b")
    manifest = json.loads(await platform.diagnostics.manifest(ANA, "b", archive.timestamp))
    assert [job["job_id"] for job in manifest["jobs"]] == [damaged, good]
    assert [job["state"] for job in manifest["jobs"]] == ["unknown", "failed"]
    assert archive.state == "PartiallyComplete"
    [note] = manifest["notes"]
    assert f"job {damaged} is not settled: record jobs/{damaged}/finished.json cannot be read" in note
    assert f"job {cut} is left out: record jobs/{cut}/submitted.json cannot be read" in note


async def test_a_reaper_that_comes_late_does_not_end_the_jobs_of_the_next_namespace(platform: Platform) -> None:
    """Another took over its claim, and the bucket's id is used anew: found twice in 10,000 interleavings."""
    old, _ = await platform.namespaces.create_namespace(ANA, "b", request_id="r")
    await platform.namespaces.finalize_namespace(ANA, old.name, force=False, request_id="r")
    await platform.reaper.sweep()
    new, _ = await platform.namespaces.create_namespace(ANA, "b", request_id="r")
    book = JobBook(platform.blobs)
    submitted = submitted_record(new, new_job_id(await platform.cluster.now(), 7))
    await book.open_job(ANA.tenant_key, submitted)

    with pytest.raises(Reaping, match="another reaper was faster"):
        await Collector(book, platform.cluster, platform.audit).settle(old)

    assert await book.finished(ANA.tenant_key, submitted) is None


@pytest.mark.parametrize("act", ["finalize", "reap"])
async def test_a_job_that_is_created_while_others_look_for_jobs_is_seen(tmp_path: Path, act: str) -> None:
    """Its submit began before they read the namespace, and was confirmed before they changed it."""
    async with open_stage(tmp_path) as stage:
        namespace = await stage.namespace("b")
        await begin_submit(stage.cluster, namespace.name, namespace.uid, "j-1", await stage.cluster.now())

        async def come_in_between(call: str, _: tuple[object, ...]) -> None:
            if call == "patch_namespace" and not await stage.local.list_jobs(namespace.name):
                template = PodTemplate(image="none", command=("sleep", "60"))
                await stage.local.create_job(
                    namespace.name, JobSpec(name="j-1", partitions=1, template=template, deadline_seconds=60)
                )
                await confirm_submit(stage.local, namespace.name, namespace.uid, "j-1")

        manager = stage.with_parts(cluster=tap(stage.cluster, pause=come_in_between)).manager()
        acts: dict[str, Callable[[], Awaitable[object]]] = {
            "finalize": lambda: manager.finalize_namespace(ANA, namespace.name, force=False, request_id="r"),
            "reap": lambda: manager.reap_namespace(ANA, namespace.name, bucket_id="b", force=False, request_id="r"),
        }
        with pytest.raises(Conflict, match="j-1"):
            await acts[act]()
        await check_still_active(stage.cluster, namespace.name, namespace.uid)


async def test_a_submit_into_a_namespace_that_vanishes_is_told_to_come_back(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        namespace = await stage.namespace("b")
        await stage.local.delete_namespace(namespace, ArchiveWaiver(namespace_uid=namespace.uid, reason="test"))

        async def gone() -> bool:
            return await stage.is_gone(namespace.name)

        await eventually(gone)
        stale = tap(stage.local)
        with pytest.raises(Reaping, match="submit again"):
            await confirm_submit(stale, namespace.name, namespace.uid, "j-1")


async def test_a_cancelled_job_is_no_lost_one_whoever_records_its_end(tmp_path: Path) -> None:
    """Its pods are stopped before its end is recorded: a finalize and a sweep fit in between, once in 10,000."""
    async with open_stage(tmp_path) as stage:
        namespace = await stage.namespace("b")
        job_id = new_job_id(await stage.cluster.now(), 7)
        submitted = await stage.job(namespace, job_id, "sleep 60")
        collector = Collector(stage.book, stage.cluster, stage.audit)
        swept: list[SweepReport] = []

        async def sweep_in_between(call: str, args: tuple[object, ...]) -> None:
            if call == "write" and str(args[1]).endswith("/finished.json") and not swept:
                await stage.ended(namespace.name)
                await stage.manager().finalize_namespace(ANA, namespace.name, force=False, request_id="r")
                swept.append(await stage.reaper().sweep())

        slow = stage.with_parts(blobs=tap(stage.blobs, pause=sweep_in_between))
        await slow.reaper().cancel_jobs(namespace)

        assert [report.successful for report in swept] == [1]
        end = await stage.book.finished(namespace.tenant_key, submitted)
        assert end is not None
        assert end.state == "cancelled"
        assert [each.jobs[0].state for each in await stage.manifests("b")] == ["cancelled"]
        assert await collector.collect(namespace.tenant_key, submitted) == end
