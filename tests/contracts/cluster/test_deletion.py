"""What every cluster must do when a namespace is deleted: receipts, preconditions, finalizers, and the end."""

from asyncio import gather

import pytest
from contracts.cluster_harness import Place

from livecalc.domain.errors import AlreadyExists, Conflict, InvalidInput, NotFound, PreconditionFailed
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.receipts import ArchiveReceipt, ArchiveWaiver

pytestmark = pytest.mark.anyio

FINALIZER = "livecalc.io/reap"
FOREIGN = "example.com/hold"


def waiver(uid: str) -> ArchiveWaiver:
    return ArchiveWaiver(namespace_uid=uid, reason="test")


async def test_deleting_takes_a_receipt_of_that_namespace(place: Place) -> None:
    record = await place.record()
    receipt = ArchiveReceipt(
        namespace_uid="another",
        container="diagnostics-acme",
        path="q4/20260125-010000",
        manifest_sha256="0" * 64,
        blobs=1,
        bytes=1,
        pods=frozenset(),
        verified_at=record.created_at,
    )

    with pytest.raises(InvalidInput):
        await place.cluster.delete_namespace(record, waiver("another"))
    with pytest.raises(InvalidInput):
        await place.cluster.delete_namespace(record, receipt)
    assert await place.record() == record


async def test_deleting_an_old_version_is_refused(place: Place) -> None:
    old = await place.record()
    new = await place.cluster.patch_namespace(old, annotations={"a": "1"})

    with pytest.raises(PreconditionFailed):
        await place.cluster.delete_namespace(old, waiver(old.uid))
    assert await place.record() == new


async def test_of_a_patch_and_a_delete_of_one_version_exactly_one_wins(place: Place) -> None:
    record = await place.cluster.patch_namespace(await place.record(), add_finalizer=FINALIZER)

    answers = await gather(
        place.cluster.patch_namespace(record, annotations={"last-activity": "now"}),
        place.cluster.delete_namespace(record, waiver(record.uid)),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, PreconditionFailed) for answer in answers) == 1
    after = await place.record()
    assert after.terminating is ("last-activity" not in after.annotations)
    await place.cluster.patch_namespace(after, remove_finalizer=FINALIZER, any_version=True)


async def test_an_empty_namespace_goes(place: Place) -> None:
    await place.delete()

    await place.soon(place.is_gone)
    assert place.name not in {record.name for record in (await place.cluster.list_namespaces({})).items}


async def test_a_finalizer_holds_the_name_when_the_content_is_gone(place: Place) -> None:
    await place.cluster.patch_namespace(await place.record(), add_finalizer=FINALIZER)
    await place.run("sleep 300")
    await place.running()
    before = await place.delete()

    held = await place.soon(lambda: _content_gone(place))

    assert held.terminating
    assert held.uid == before.uid
    assert held.resource_version != before.resource_version
    assert held.finalizers == (FINALIZER,)
    assert await place.pods() == []
    assert await place.cluster.list_jobs(place.name) == []

    last = await place.cluster.patch_namespace(held, annotations={"bye": "1"}, remove_finalizer=FINALIZER)
    assert last.finalizers == ()
    assert last.uid == before.uid
    await place.soon(place.is_gone)
    with pytest.raises(NotFound):
        await place.cluster.patch_namespace(last, annotations={"a": "1"}, any_version=True)


async def test_nothing_is_made_in_a_terminating_namespace(place: Place) -> None:
    held = await place.cluster.patch_namespace(await place.record(), add_finalizer=FINALIZER)
    await place.delete()
    terminating = await place.record()
    assert terminating.terminating

    with pytest.raises(AlreadyExists):
        await place.cluster.create_namespace(place.name, labels={}, annotations={})
    with pytest.raises(Conflict):
        await place.run("exit 0")
    with pytest.raises(Conflict):
        await place.harness.create_pod(place.name, "late", place.harness.shell("exit 0"))
    with pytest.raises(Conflict):
        await place.harness.create_claim(place.name, "late")
    with pytest.raises(Conflict):
        await place.cluster.patch_namespace(terminating, add_finalizer=FOREIGN, any_version=True)

    await place.cluster.patch_namespace(held, remove_finalizer=FINALIZER, any_version=True)
    await place.soon(place.is_gone)


async def test_deleting_a_terminating_namespace_is_no_error(place: Place) -> None:
    await place.cluster.patch_namespace(await place.record(), add_finalizer=FINALIZER)
    before = await place.delete()
    terminating = await place.soon(lambda: _content_gone(place))

    await place.cluster.delete_namespace(terminating, waiver(terminating.uid))
    with pytest.raises(PreconditionFailed):
        await place.cluster.delete_namespace(before, waiver(before.uid))

    assert (await place.record()).deletion_timestamp == terminating.deletion_timestamp
    await place.cluster.patch_namespace(terminating, remove_finalizer=FINALIZER, any_version=True)


async def test_a_finalizer_taken_early_ends_the_namespace_with_its_content(place: Place) -> None:
    await place.cluster.patch_namespace(await place.record(), add_finalizer=FINALIZER)
    await place.run("trap '' TERM; sleep 300")
    await place.running()
    before = await place.delete()

    last = await place.cluster.patch_namespace(before, remove_finalizer=FINALIZER, any_version=True)

    assert last.terminating
    assert last.finalizers == ()
    await place.soon(place.is_gone)


async def test_one_of_two_finalizers_is_not_enough(place: Place) -> None:
    record = await place.cluster.patch_namespace(await place.record(), add_finalizer=FINALIZER)
    await place.cluster.patch_namespace(record, add_finalizer=FOREIGN)
    await place.delete()
    held = await place.soon(lambda: _content_gone(place))

    left = await place.cluster.patch_namespace(held, remove_finalizer=FINALIZER)

    assert left.finalizers == (FOREIGN,)
    assert await place.record() == left
    await place.cluster.patch_namespace(left, remove_finalizer=FOREIGN)
    await place.soon(place.is_gone)


async def _content_gone(place: Place) -> NamespaceRecord | None:
    record = await place.record()
    return record if record.content_gone else None
