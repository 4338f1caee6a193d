"""What every cluster must do with namespaces: versions, preconditions, finalizers, and their end."""

from asyncio import gather
from datetime import UTC, datetime, timedelta

import pytest
from contracts.cluster_harness import Harness, Place, new_name

from livecalc.cluster.port import JobSpec
from livecalc.domain.errors import AlreadyExists, Conflict, InvalidInput, NotFound, PreconditionFailed
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.receipts import ArchiveReceipt, ArchiveWaiver

pytestmark = pytest.mark.anyio

FINALIZER = "livecalc.io/reap"
FOREIGN = "example.com/hold"


def waiver(uid: str) -> ArchiveWaiver:
    return ArchiveWaiver(namespace_uid=uid, reason="test")


async def test_the_cluster_says_who_it_is(harness: Harness) -> None:
    now = await harness.cluster.now()

    assert harness.cluster.name
    assert harness.cluster.slots >= 1
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=5)


async def test_a_namespace_is_what_was_created(place: Place) -> None:
    name = new_name()
    labels = {"app": "livecalc", "bucket-id": "q4", "empty": ""}
    annotations = {"last-activity": "2026-01-25T01:00:00Z", "free": 'any "text", ümlaut,\nlines'}

    created = await place.cluster.create_namespace(name, labels=labels, annotations=annotations)
    read = await place.cluster.get_namespace(name)

    assert created == read
    assert read.name == name
    assert labels.items() <= read.labels.items()
    assert read.annotations == annotations
    assert read.uid
    assert read.resource_version
    assert read.finalizers == ()
    assert not read.terminating
    assert not read.content_gone
    assert read.blockers == ()
    assert abs(read.created_at - await place.cluster.now()) < timedelta(seconds=30)
    await place.cluster.delete_namespace(read, waiver(read.uid))


async def test_a_name_is_given_once(place: Place) -> None:
    with pytest.raises(AlreadyExists):
        await place.cluster.create_namespace(place.name, labels={}, annotations={})


async def test_of_many_creators_one_wins(place: Place) -> None:
    name = new_name()

    answers = await gather(
        *(place.cluster.create_namespace(name, labels={}, annotations={"by": str(n)}) for n in range(8)),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, AlreadyExists) for answer in answers) == 7
    record = await place.cluster.get_namespace(name)
    assert record in answers
    await place.cluster.delete_namespace(record, waiver(record.uid))


@pytest.mark.parametrize("name", ["", "Upper", "under_score", "dot.ted", "-lead", "trail-", "a" * 64, "../up", "ä"])
async def test_other_names_are_refused(place: Place, name: str) -> None:
    with pytest.raises(InvalidInput):
        await place.cluster.create_namespace(name, labels={}, annotations={})


async def test_other_labels_and_annotations_are_refused(place: Place) -> None:
    for labels in ({"": "x"}, {"a b": "x"}, {"key": "two words"}, {"key": "x" * 64}, {"/key": "x"}):
        with pytest.raises(InvalidInput):
            await place.cluster.create_namespace(new_name(), labels=labels, annotations={})
    for annotations in ({"a b": "x"}, {"big": "x" * (257 << 10)}):
        with pytest.raises(InvalidInput):
            await place.cluster.create_namespace(new_name(), labels={}, annotations=annotations)
        with pytest.raises(InvalidInput):
            await place.cluster.patch_namespace(await place.record(), annotations=annotations)


async def test_a_missing_namespace_is_not_found(place: Place) -> None:
    missing = new_name()

    with pytest.raises(NotFound):
        await place.cluster.get_namespace(missing)
    assert await place.cluster.list_pods(missing) == []
    assert await place.cluster.list_jobs(missing) == []
    assert await place.cluster.list_events(missing) == []
    assert await place.cluster.list_volume_claims(missing) == []


async def test_lists_hold_what_carries_all_labels_by_name(place: Place) -> None:
    mark = new_name()
    names = sorted(new_name() for _ in range(3))
    for name in reversed(names):
        await place.cluster.create_namespace(name, labels={"mark": mark, "name": name}, annotations={"a": "b"})

    found = await place.cluster.list_namespaces({"mark": mark})
    one = await place.cluster.list_namespaces({"mark": mark, "name": names[1]})
    none = await place.cluster.list_namespaces({"mark": mark, "other": "x"})
    everything = await place.cluster.list_namespaces({})

    assert found.complete
    assert [record.name for record in found.items] == names
    assert found.items == tuple([await place.cluster.get_namespace(name) for name in names])
    assert [record.name for record in one.items] == [names[1]]
    assert none.items == ()
    assert {*names, place.name} <= {record.name for record in everything.items}
    for record in found.items:
        await place.cluster.delete_namespace(record, waiver(record.uid))


async def test_a_patch_sets_and_removes(place: Place) -> None:
    before = await place.record()

    first = await place.cluster.patch_namespace(before, annotations={"a": "1", "b": "2"}, add_finalizer=FINALIZER)
    second = await place.cluster.patch_namespace(first, annotations={"a": None, "c": "3"})
    third = await place.cluster.patch_namespace(second, add_finalizer=FOREIGN)
    fourth = await place.cluster.patch_namespace(third, remove_finalizer=FINALIZER)
    fifth = await place.cluster.patch_namespace(fourth, remove_finalizer=FOREIGN)

    assert first.annotations == {"a": "1", "b": "2"}
    assert first.finalizers == (FINALIZER,)
    assert second.annotations == {"b": "2", "c": "3"}
    assert set(third.finalizers) == {FINALIZER, FOREIGN}
    assert fourth.finalizers == (FOREIGN,)
    assert fifth == await place.record()
    assert fifth.labels == before.labels
    assert fifth.uid == before.uid
    assert len({record.resource_version for record in (before, first, second, third, fourth, fifth)}) == 6


async def test_a_patch_that_changes_nothing_keeps_the_version(place: Place) -> None:
    record = await place.cluster.patch_namespace(await place.record(), annotations={"a": "1"}, add_finalizer=FINALIZER)

    same = await place.cluster.patch_namespace(
        record, annotations={"a": "1", "absent": None}, add_finalizer=FINALIZER, remove_finalizer=FOREIGN
    )
    nothing = await place.cluster.patch_namespace(record)

    assert same == nothing == record
    await place.cluster.patch_namespace(record, remove_finalizer=FINALIZER)


async def test_a_patch_of_an_old_version_is_refused(place: Place) -> None:
    old = await place.record()
    await place.cluster.patch_namespace(old, annotations={"a": "1"})

    with pytest.raises(PreconditionFailed):
        await place.cluster.patch_namespace(old, annotations={"a": "2"})
    with pytest.raises(PreconditionFailed):
        await place.cluster.patch_namespace(old, annotations={"a": "1"})
    assert (await place.record()).annotations == {"a": "1"}

    patched = await place.cluster.patch_namespace(old, annotations={"b": "3"}, any_version=True)
    assert patched.annotations == {"a": "1", "b": "3"}


async def test_of_two_patches_of_one_version_exactly_one_wins(place: Place) -> None:
    for _ in range(10):
        record = await place.record()

        patches = [{"by": f"{record.resource_version}-{n}"} for n in (1, 2)]
        answers = await gather(
            *(place.cluster.patch_namespace(record, annotations=patch) for patch in patches),
            return_exceptions=True,
        )

        winners = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert len(winners) == 1
        assert sum(isinstance(answer, PreconditionFailed) for answer in answers) == 1
        assert await place.record() == winners[0]


async def test_patches_of_any_version_are_all_kept(place: Place) -> None:
    record = await place.record()

    await gather(
        *(place.cluster.patch_namespace(record, annotations={f"k{n}": "v"}, any_version=True) for n in range(20)),
    )

    assert (await place.record()).annotations == {f"k{n}": "v" for n in range(20)}


async def test_another_namespace_of_the_same_name_is_not_the_one_that_was_read(place: Place) -> None:
    old = await place.delete()
    await place.soon(place.is_gone)
    new = await place.cluster.create_namespace(place.name, labels={}, annotations={})

    assert new.uid != old.uid
    for any_version in (False, True):
        with pytest.raises(NotFound):
            await place.cluster.patch_namespace(old, annotations={"a": "1"}, any_version=any_version)
    with pytest.raises(NotFound):
        await place.cluster.delete_namespace(old, waiver(old.uid))
    assert await place.record() == new


async def test_work_in_a_namespace_does_not_change_its_version(place: Place) -> None:
    before = await place.record()

    await place.run("exit 0")
    await place.harness.create_pod(place.name, "foreign", place.harness.shell("exit 0"))
    await place.finished()

    assert await place.record() == before


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


async def test_a_job_in_no_namespace_is_not_found(place: Place) -> None:
    spec = JobSpec(name="job", partitions=1, template=place.harness.shell("exit 0"), deadline_seconds=60)

    with pytest.raises(NotFound):
        await place.cluster.create_job(new_name(), spec)
    with pytest.raises(NotFound):
        await place.cluster.cancel_job(new_name(), "job")
    with pytest.raises(NotFound):
        await place.cluster.delete_job(new_name(), "job")


async def _content_gone(place: Place) -> NamespaceRecord | None:
    record = await place.record()
    return record if record.content_gone else None
