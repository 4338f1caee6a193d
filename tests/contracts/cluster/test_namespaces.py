"""What every cluster must do with namespaces: names, lists, patches, versions and preconditions."""

from asyncio import gather
from datetime import UTC, datetime, timedelta

import pytest
from contracts.cluster_harness import Harness, Place, new_name

from livecalc.cluster.port import JobSpec
from livecalc.domain.errors import AlreadyExists, InvalidInput, NotFound, PreconditionFailed
from livecalc.domain.receipts import ArchiveWaiver

pytestmark = pytest.mark.anyio

FINALIZER = "livecalc.io/reap"
FOREIGN = "example.com/hold"


def waiver(uid: str) -> ArchiveWaiver:
    return ArchiveWaiver(namespace_uid=uid, reason="test")


async def test_the_cluster_says_who_it_is(harness: Harness) -> None:
    now = await harness.cluster.now()

    assert harness.cluster.name
    assert await harness.cluster.version()
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


async def test_a_job_in_no_namespace_is_not_found(place: Place) -> None:
    spec = JobSpec(name="job", partitions=1, template=place.harness.shell("exit 0"), deadline_seconds=60)

    with pytest.raises(NotFound):
        await place.cluster.create_job(new_name(), spec)
    with pytest.raises(NotFound):
        await place.cluster.cancel_job(new_name(), "job")
    with pytest.raises(NotFound):
        await place.cluster.delete_job(new_name(), "job")
