"""Reapers, submits and heartbeats over the same namespaces: activity wins, one reaper wins, the losers are told why."""

import asyncio
import logging
from collections.abc import Awaitable
from datetime import timedelta

import msgspec
import pytest
from lifecycle.stage import ANA, Stage, template
from lifecycle.taps import Broken, tap

from livecalc.domain.errors import Conflict, NotFound, PreconditionFailed, Reaping, Unavailable
from livecalc.domain.namespaces import LAST_ACTIVITY, LAST_SUBMIT, STATUS, NamespaceRecord, Status
from livecalc.domain.timestamps import archive_timestamp, format_timestamp, parse_timestamp
from livecalc.lifecycle.activity import begin_submit, check_still_active, update_namespace_activity
from livecalc.lifecycle.outcome import ReapOutcome
from livecalc.lifecycle.plan import Reap

pytestmark = pytest.mark.anyio


async def test_two_reapers_share_the_work_and_nothing_is_done_twice(stage: Stage) -> None:
    names = [(await stage.finalized(f"b-{number}")).name for number in range(8)]
    first, second = await asyncio.gather(stage.reaper("first").sweep(), stage.reaper("second").sweep())

    assert first.failed + second.failed == 0
    assert first.successful + second.successful == len(names)
    assert all([await stage.is_gone(name) for name in names])
    assert all([len(await stage.manifests(f"b-{number}")) == 1 for number in range(8)])
    phases = [(record.bucket_id, record.phase) for record in await stage.audited(operation="reap")]
    assert len(phases) == len(set(phases)) == 2 * len(names)


async def test_a_submit_between_plan_and_claim_wins(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="livecalc.cleanup")
    record = await stage.namespace("b", idle=timedelta(hours=25))
    reaper = stage.reaper()
    plan = await reaper.plan()
    assert isinstance(plan.entries[0].decision, Reap)
    marked = await begin_submit(stage.cluster, record.name, record.uid, "j-1", await stage.cluster.now())

    report = await reaper.execute(plan)

    assert (report.successful, report.failed, report.kept) == (0, 0, 1)
    await check_still_active(stage.cluster, record.name, record.uid)
    assert marked.annotations[LAST_SUBMIT] == "j-1"
    assert any(f"{record.name} is kept after all: idle; reap in 2" in message for message in caplog.messages)


async def test_a_pod_between_plan_and_claim_wins_too(stage: Stage) -> None:
    """Its heartbeat changed the namespace, so that the claim fails; looked at again it is busy."""
    record = await stage.namespace("b", idle=timedelta(hours=30))
    reaper = stage.reaper()
    plan = await reaper.plan()
    await stage.pod(record.name, "worker-1", "sleep 60", ended=False, job="j-1")
    await stage.age(record, timedelta(hours=29))
    assert (await reaper.execute(plan)).kept == 1
    assert (await reaper.plan()).entries[0].decision.reason == "1 pod running"


async def test_a_claimed_namespace_takes_no_work(stage: Stage) -> None:
    record = await stage.namespace("b")
    claimed = await stage.annotate(record, {STATUS: Status.REAPING})
    now = await stage.cluster.now()
    with pytest.raises(Reaping, match="come back in a minute"):
        await begin_submit(stage.cluster, record.name, record.uid, "j-1", now)
    with pytest.raises(Reaping):
        await check_still_active(stage.cluster, record.name, record.uid)
    assert not await update_namespace_activity(stage.cluster, record.name, now + timedelta(hours=1))
    assert await stage.local.get_namespace(record.name) == claimed
    await stage.annotate(record, {STATUS: Status.FINALIZED})
    with pytest.raises(Conflict, match="is finalized"):
        await begin_submit(stage.cluster, record.name, record.uid, "j-1", now)
    with pytest.raises(Reaping, match="submit again"):
        await begin_submit(stage.cluster, record.name, "another uid", "j-1", now)
    with pytest.raises(Reaping, match="submit again"):
        await check_still_active(stage.cluster, "livecalc-bucket-none", record.uid)


async def test_fifty_submits_at_once_all_succeed(stage: Stage) -> None:
    record = await stage.namespace("b")
    now = await stage.cluster.now()
    jobs = [f"j-{number}" for number in range(50)]
    marked = await asyncio.gather(*(begin_submit(stage.cluster, record.name, record.uid, job, now) for job in jobs))
    assert sorted(each.annotations[LAST_SUBMIT] for each in marked) == sorted(jobs)
    assert len({each.resource_version for each in marked}) == len(jobs)


async def test_heartbeats_are_monotonic_and_at_most_one_in_five_minutes(stage: Stage) -> None:
    record = await stage.namespace("b")
    born = parse_timestamp(record.annotations[LAST_ACTIVITY])
    assert born is not None

    async def beat(minutes: float) -> bool:
        return await update_namespace_activity(stage.cluster, record.name, born + timedelta(minutes=minutes))

    assert not await beat(4.9)
    assert sum(await asyncio.gather(*(beat(10) for _ in range(20)))) == 1
    assert not await beat(14.9)
    assert not await beat(5)
    fresh = await stage.local.get_namespace(record.name)
    assert fresh.annotations[LAST_ACTIVITY] == format_timestamp(born + timedelta(minutes=10))
    assert await beat(15)
    with pytest.raises(NotFound):
        await update_namespace_activity(stage.cluster, "livecalc-bucket-none", born)


async def test_heartbeats_that_always_meet_others_give_up(stage: Stage) -> None:
    record = await stage.namespace("b")
    busy = Broken(lambda: PreconditionFailed("changed"), lambda call, _: call == "patch_namespace")
    with pytest.raises(PreconditionFailed, match="the next will do"):
        await update_namespace_activity(
            busy.wrap(stage.cluster), record.name, await stage.cluster.now() + timedelta(hours=1)
        )


async def test_a_pod_that_comes_after_the_manifest_sends_the_reaper_back(stage: Stage) -> None:
    record = await stage.finalized("b")
    seen: list[str] = []

    async def come_late(call: str, _: tuple[object, ...]) -> None:
        seen.append(call)
        # The volume claims are listed when the namespace is claimed, and again just before the last look at the pods.
        if call == "list_volume_claims" and seen.count(call) == 2:
            await stage.pod(record.name, "late", "echo late words")

    report = await stage.with_parts(cluster=tap(stage.cluster, pause=come_late)).reaper().sweep()

    assert report.successful == 1
    early, late = await stage.manifests("b")
    assert (early.pods, [pod.name for pod in late.pods]) == ([], ["late"])
    assert late.supersedes == f"b/{early.timestamp}"
    assert late.timestamp == f"{early.timestamp}-2"
    assert await stage.blob(f"b/{late.timestamp}/logs/late.log") == b"late words\n"
    assert report.outcomes[0].archive == f"b/{late.timestamp}"
    for each in (early, late):
        assert (await stage.diagnostics.verify(ANA, "b", each.timestamp)).holds


async def test_a_path_that_another_reaping_has_is_left_alone(stage: Stage) -> None:
    """As when a bucket is reaped twice within a second."""
    record = await stage.finalized("b")
    now = await stage.cluster.now()
    taken = [f"b/{archive_timestamp(now + timedelta(seconds=second))}" for second in range(5)]
    for folder in taken:
        await stage.blobs.write("diagnostics-acme", f"{folder}/logs/old.log", b"an older reaping's")

    report = await stage.reaper().sweep()

    assert report.successful == 1
    assert await stage.is_gone(record.name)
    path = report.outcomes[0].archive or ""
    assert path.endswith("-2")
    assert path.removesuffix("-2") in taken
    assert (await stage.manifest("b")).blobs == [
        blob for blob in (await stage.manifest("b")).blobs if "old" not in blob.name
    ]


async def stalled_reap(
    stage: Stage, record: NamespaceRecord, go_on: asyncio.Event, begun: asyncio.Event
) -> ReapOutcome:
    """Reap, and stand still before the archive's first blob is written until `go_on`."""

    async def stall(call: str, args: tuple[object, ...]) -> None:
        if call == "write" and str(args[0]).startswith("diagnostics"):
            begun.set()
            await go_on.wait()

    slow = stage.with_parts(blobs=tap(stage.blobs, pause=stall))
    return await slow.reaper("slow").reap_one(record, reason="finalized")


async def test_a_holder_that_lives_keeps_its_claim(stage: Stage) -> None:
    stage = stage.with_parts(policy=msgspec.structs.replace(stage.policy, claim_timeout=3.0))
    record = await stage.finalized("b")
    go_on, begun = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(stalled_reap(stage, record, go_on, begun))
        await begun.wait()
        other = stage.reaper("other")
        report = await other.sweep()
        assert (report.successful, report.failed, report.elsewhere) == (0, 0, 1)
        with pytest.raises(Reaping, match="is being reaped by slow"):
            await other.resume_one(await stage.local.get_namespace(record.name))
        go_on.set()
    assert slow.result().success
    assert await stage.is_gone(record.name)


async def test_a_holder_that_cannot_renew_loses_its_claim_and_stops(stage: Stage) -> None:
    """Its claim is taken over and finished; when it wakes up it does nothing more."""
    record = await stage.finalized("b")
    go_on, begun = asyncio.Event(), asyncio.Event()
    cut = Broken(lambda: Unavailable("no route to the cluster"), lambda _, __: True, on=False)
    lonely = stage.with_parts(cluster=cut.wrap(stage.cluster))
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(_outcome_or_error(stalled_reap(lonely, record, go_on, begun)))
        await begun.wait()
        cut.on = True
        report = await stage.reaper("second").sweep()
        assert report.successful == 1
        cut.on = False
        go_on.set()
    assert isinstance(slow.result(), Reaping)
    assert await stage.is_gone(record.name)
    assert len(await stage.manifests("b")) == 1
    assert [each.phase for each in await stage.audited(operation="reap")] == ["intent", "outcome"]


async def _outcome_or_error(work: Awaitable[ReapOutcome]) -> ReapOutcome | Reaping:
    try:
        return await work
    except Reaping as error:
        return error


async def test_planning_is_not_acting(stage: Stage) -> None:
    before = [await stage.namespace("a", idle=timedelta(hours=30)), await stage.finalized("b")]
    await stage.local.create_pod(before[0].name, "foreign", template("sleep 60"))
    plan = await stage.reaper().plan(every_pod=True)
    assert {entry.record.name: (entry.decision.reason, entry.observed.pods) for entry in plan.entries} == {
        before[0].name: ("idle > 24h", 1),
        before[1].name: ("finalized", 0),
    }
    assert [await stage.local.get_namespace(each.name) for each in before] == before
    assert await stage.container("diagnostics-acme") == {}
