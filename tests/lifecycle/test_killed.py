"""A reaper killed at any call of a port: the next one finishes, with one archive, every log, and one audit of each."""

import asyncio
import zlib
from datetime import timedelta

import msgspec
import pytest
from lifecycle.stage import Stage, template
from lifecycle.taps import Killed, Life

from livecalc.domain.namespaces import STATUS, NamespaceRecord, Status
from livecalc.domain.tenants import Principal
from livecalc.lifecycle.reaper import Reaper

pytestmark = pytest.mark.anyio


def reaper_of(stage: Stage, life: Life, holder: str) -> Reaper:
    # It renews its claim so seldom that its steps are always the same.
    policy = msgspec.structs.replace(stage.policy, claim_timeout=600.0)
    return stage.with_parts(cluster=life.wrap(stage.cluster), blobs=life.wrap(stage.blobs), policy=policy).reaper(
        holder
    )


async def populated(stage: Stage, bucket_id: str) -> NamespaceRecord:
    record = await stage.namespace(bucket_id, principal=owner(bucket_id))
    await stage.local.create_volume_claim(record.name, "data")
    await stage.local.create_pod(record.name, "worker-1", template(f"echo log of {bucket_id}"))
    return await stage.annotate(record, {STATUS: Status.FINALIZED})


def owner(bucket_id: str) -> Principal:
    """Several tenants, so that no audit chain becomes long."""
    return Principal(tenant_id=f"tenant-{zlib.crc32(bucket_id.encode()) % 8}", user_id="ana")


async def reap(stage: Stage, record: NamespaceRecord, life: Life) -> None:
    reaper = reaper_of(stage, life, f"first-{record.bucket_id}")
    outcome = await reaper.reap_one(record, reason="finalized", request_id=f"r-{record.bucket_id}")
    assert outcome.success, outcome.message


async def test_killed_at_any_step_and_continued(stage: Stage) -> None:
    whole = Life()
    record = await populated(stage, "whole")
    await stage.ended(record.name)
    await reap(stage, record, whole)
    steps = len(whole.calls)
    assert steps > 20, whole.calls
    # To die before a call is to die after the one before it.
    lives = {f"b-{number}": Life(dies_at=number, after=True) for number in range(1, steps)}
    populations = dict(zip(lives, await asyncio.gather(*(populated(stage, bucket) for bucket in lives)), strict=True))
    for each in populations.values():
        await stage.ended(each.name)

    async def die(bucket: str) -> None:
        try:
            await reap(stage, populations[bucket], lives[bucket])
        except Killed:
            return
        raise AssertionError(f"{bucket} was to be killed at call {lives[bucket].dies_at} of {lives[bucket].calls}")

    await asyncio.gather(*map(die, lives))
    report = await stage.reaper("second").sweep()

    assert report.failed == 0, [outcome for outcome in report.outcomes if not outcome.success]
    assert not (await stage.local.list_namespaces({})).items
    assert not await stage.local.list_volumes()
    for bucket in lives:
        manifest = await stage.manifest(bucket, owner(bucket))
        assert [log.blob for log in manifest.containers] == ["logs/worker-1.log"], bucket
        log = await stage.blob(f"{bucket}/{manifest.timestamp}/logs/worker-1.log", owner(bucket))
        assert log == f"log of {bucket}\n".encode()
        assert (await stage.diagnostics.verify(owner(bucket), bucket, manifest.timestamp)).holds
    tenants = {owner(bucket).tenant_id for bucket in [*lives, "whole"]}
    records = [record for tenant in tenants for record in await stage.audited(operation="reap", tenant_id=tenant)]
    phases = sorted((record.bucket_id or "", record.phase) for record in records)
    assert phases == sorted((bucket, phase) for bucket in ["whole", *lives] for phase in ("intent", "outcome"))
    for tenant in tenants:
        assert (await stage.audit.verify(tenant)).holds


async def test_a_second_sweep_finds_nothing_left_of_a_killed_one(stage: Stage) -> None:
    record = await stage.namespace("b", idle=timedelta(hours=30))
    life = Life(dies_at=12)
    with pytest.raises(BaseExceptionGroup):
        await reaper_of(stage, life, "first").sweep()
    plan = await stage.reaper("second").plan()
    assert [type(entry.decision).__name__ for entry in plan.entries] == ["Resume"]
    assert plan.entries[0].decision.reason.startswith("started by first ")
    assert (await stage.reaper("second").sweep()).successful == 1
    assert await stage.is_gone(record.name)
    assert not (await stage.reaper("second").plan()).entries
