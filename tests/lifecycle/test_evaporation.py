"""Deleted means gone: what stays is named, what blocks is reported, and foreign finalizers are nobody's to clear."""

import msgspec
import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.stage import POLICY, Stage
from lifecycle.taps import tap
from support.waiting import eventually

from livecalc.domain.errors import NotFound
from livecalc.domain.namespaces import FINALIZER
from livecalc.domain.receipts import ArchiveWaiver

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]
SHORT = msgspec.structs.replace(POLICY, wait=0.4)
FOREIGN = "example.com/keep"


async def bound(stage: Stage, namespace: str, claim: str) -> str:
    async def volume() -> str:
        [found] = [each for each in await stage.local.list_volume_claims(namespace) if each.name == claim]
        return found.volume

    return await eventually(volume)


async def test_volumes_go_with_their_claims(stage: Stage) -> None:
    record = await stage.namespace("b")
    await stage.local.create_volume_claim(record.name, "data")
    await bound(stage, record.name, "data")
    outcome = await stage.reaper().reap_one(await stage.local.get_namespace(record.name), reason="test")
    assert (outcome.success, outcome.left) == (True, [])
    assert await stage.local.list_volumes() == []


async def test_a_volume_that_is_retained_is_named(stage: Stage) -> None:
    record = await stage.finalized("b")
    await stage.local.create_volume_claim(record.name, "data", reclaim_policy="Retain")
    await stage.local.create_volume_claim(record.name, "scratch")
    volume = await bound(stage, record.name, "data")
    await bound(stage, record.name, "scratch")

    report = await stage.reaper().sweep()

    assert (report.successful, report.failed) == (0, 1)
    [outcome] = report.outcomes
    assert outcome.left == [f"volume {volume} of claim data (Retain, Released)"]
    assert outcome.message == f"Namespace {record.name} is gone, but not all of its volumes: {outcome.left[0]}"
    assert await stage.is_gone(record.name)
    [_, result] = await stage.audited(operation="reap")
    assert (result.result, result.detail["volumes_left"]) == (outcome.message, outcome.left)
    await stage.local.delete_volume(volume)


async def test_a_volume_that_cannot_be_removed_is_named(stage: Stage) -> None:
    record = await stage.finalized("b")
    await stage.local.create_volume_claim(record.name, "data")
    volume = await bound(stage, record.name, "data")
    await stage.local.attach_volume(volume, "node-b2")
    report = await stage.reaper().sweep()
    assert report.outcomes[0].left[0].startswith(f"volume {volume} of claim data (Delete, ")
    await stage.local.detach_volume(volume)


async def test_a_claim_that_is_bound_after_the_namespace_was_claimed_is_checked_too(stage: Stage) -> None:
    """The volumes are looked at again just before the deletion."""
    record = await stage.finalized("b")
    made: list[str] = []

    async def bind_late(call: str, _: tuple[object, ...]) -> None:
        if call == "list_events" and not made:
            await stage.local.create_volume_claim(record.name, "late", reclaim_policy="Retain")
            made.append(await bound(stage, record.name, "late"))

    report = await stage.with_parts(cluster=tap(stage.cluster, pause=bind_late)).reaper().sweep()
    assert report.outcomes[0].left == [f"volume {made[0]} of claim late (Retain, Released)"]
    await stage.local.delete_volume(made[0])


async def test_content_that_does_not_go_blocks_and_is_finished_later(stage: Stage) -> None:
    record = await stage.finalized("b")
    await stage.local.create_volume_claim(record.name, "data", finalizers=(FOREIGN,))
    report = await stage.with_parts(policy=SHORT).reaper("first").sweep()

    assert (report.successful, report.failed) == (0, 1)
    stuck = await stage.local.get_namespace(record.name)
    assert stuck.terminating
    assert FINALIZER in stuck.finalizers
    assert report.outcomes[0].message.startswith(f"namespace {record.name} is still terminating after 0.4 s: ")
    assert [record.phase for record in await stage.audited(operation="reap")] == ["intent"]

    async def blockers() -> tuple[str, ...]:
        return (await stage.local.get_namespace(record.name)).blockers

    sentences = await eventually(blockers)
    again = await stage.with_parts(policy=SHORT).reaper("second").sweep()
    assert (again.successful, again.failed) == (0, 1)
    assert all(each in again.outcomes[0].message for each in sentences)
    [claim] = await stage.local.list_volume_claims(record.name)
    assert claim.name == "data"

    await stage.local.remove_claim_finalizer(record.name, "data", FOREIGN)
    report = await stage.reaper("third").sweep()
    assert report.successful == 1
    assert await stage.is_gone(record.name)
    assert len(await stage.manifests("b")) == 1
    assert [record.phase for record in await stage.audited(operation="reap")] == ["intent", "outcome"]


async def test_a_foreign_finalizer_of_the_namespace_is_not_cleared(stage: Stage) -> None:
    record = await stage.finalized("b")
    await stage.local.patch_namespace(await stage.local.get_namespace(record.name), add_finalizer=FOREIGN)
    report = await stage.with_parts(policy=SHORT).reaper("first").sweep()

    assert report.failed == 1
    assert f"finalizer {FOREIGN} is not ours to clear" in report.outcomes[0].message
    stuck = await stage.local.get_namespace(record.name)
    assert set(stuck.finalizers) == {FOREIGN, FINALIZER}
    assert await stage.local.list_pods(record.name) == []

    await stage.local.patch_namespace(stuck, remove_finalizer=FOREIGN)
    assert (await stage.reaper("second").sweep()).successful == 1
    with pytest.raises(NotFound):
        await stage.local.get_namespace(record.name)


async def test_what_someone_else_deletes_is_reported(stage: Stage) -> None:
    record = await stage.namespace("b")
    held = await stage.local.patch_namespace(record, add_finalizer=FOREIGN)
    await stage.local.delete_namespace(held, ArchiveWaiver(namespace_uid=record.uid, reason="kubectl"))
    report = await stage.reaper().sweep()
    assert (report.successful, report.failed, report.clean) == (0, 0, True)
    [notice] = report.notices
    assert notice.startswith(f"namespace {record.name} was deleted by someone else, without an archive: ")
    await stage.local.patch_namespace(await stage.local.get_namespace(record.name), remove_finalizer=FOREIGN)


async def test_a_claimed_namespace_that_someone_else_deletes_is_archived_all_the_same(stage: Stage) -> None:
    record = await stage.finalized("b")
    deleted: list[str] = []

    async def delete_early(call: str, _: tuple[object, ...]) -> None:
        if call == "list_events" and not deleted:
            deleted.append(call)
            claimed = await stage.local.get_namespace(record.name)
            await stage.local.delete_namespace(claimed, ArchiveWaiver(namespace_uid=record.uid, reason="kubectl"))

    report = await stage.with_parts(cluster=tap(stage.cluster, pause=delete_early)).reaper().sweep()
    assert report.successful == 1
    assert await stage.is_gone(record.name)
    assert (await stage.manifest("b")).state == "Complete"
