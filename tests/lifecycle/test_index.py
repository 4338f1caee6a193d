"""The index of violations: made by reaps, read newest first, equal to the archives, and made anew from them alone."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.stage import ANA, BOB, Stage
from lifecycle.taps import Killed, tap
from support.stores import flip

from livecalc.blobs.port import read_all
from livecalc.domain.errors import Unavailable
from livecalc.domain.tenants import tenant_key
from livecalc.lifecycle.archive.folders import list_folders
from livecalc.lifecycle.archive.index import INDEX, ViolationIndex, parse_name
from livecalc.lifecycle.archive.manifest import PodViolation, PodViolations, encode
from livecalc.lifecycle.archive.places import Place
from livecalc.wire.diagnostics import SentinelViolation

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]

CONTAINER = "diagnostics-acme"
TEXT = "offset:1234,expected:0xABCD,actual:0x1234;what is this"
ONE = PodViolation(offset=1, expected="0xAB", actual="0x00")


def at(day: int, second: int = 0) -> str:
    return f"2026-01-{day:02}T01:00:{second:02}Z"


def said(pod: str, timestamp: str, *violations: PodViolation, malformed: Sequence[str] = ()) -> PodViolations:
    return PodViolations(pod=pod, violations=list(violations), timestamp=timestamp, malformed=list(malformed))


async def make_archive(stage: Stage, path: str, *pods: PodViolations, container: str = CONTAINER) -> Place:
    """Store what the index goes by: violations, and a manifest, which it does not read."""
    place = Place(container=container, folder=f"{path}/")
    await stage.blobs.write(container, f"{path}/sentinel-violations.json", encode(list(pods)))
    await stage.blobs.write(container, f"{path}/manifest.json", b"{}")
    return place


async def indexed(stage: Stage, path: str, *pods: PodViolations) -> Place:
    place = await make_archive(stage, path, *pods)
    await index(stage).add("acme", place)
    return place


def index(stage: Stage) -> ViolationIndex:
    return ViolationIndex(stage.blobs, "diagnostics")


async def entries(stage: Stage, folder: str = "violations/") -> list[str]:
    """Of the one half of the index; the other must have the same."""
    leaves: dict[str, list[str]] = {"violations/": [], "violations-by-bucket/": []}
    for each, found in leaves.items():
        found += [info.name async for info in stage.blobs.list_blobs(CONTAINER, f"{INDEX}{each}")]
    whole, by_bucket = ([name.rpartition("/")[2] for name in found] for found in leaves.values())
    assert sorted(whole) == sorted(by_bucket)
    return leaves[folder]


async def archives_of(stage: Stage, **options: object) -> list[str]:
    options = {"limit": 100, **options}
    return [each.archive for each in await stage.diagnostics.sentinel_violations(ANA, **options)]  # type: ignore[arg-type]


async def violated(stage: Stage, bucket_id: str, text: str = TEXT) -> str:
    """Finalize a bucket with a pod that states violations; returns its namespace."""
    record = await stage.finalized(bucket_id)
    await stage.pod(record.name, "worker-1", "echo words")
    await stage.local.annotate_pod(record.name, "worker-1", {"memory-sentinel-violations": text})
    return record.name


async def test_a_reap_indexes_what_its_archive_holds(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "livecalc.cleanup")
    await violated(stage, "q4")
    await stage.finalized("q5")
    assert (await stage.reaper().sweep()).successful == 2
    manifest = await stage.manifest("q4")
    [of_pod] = await stage.diagnostics.violations(ANA, "q4", manifest.timestamp)
    archive = f"q4/{manifest.timestamp}"
    blank = SentinelViolation(timestamp=of_pod.timestamp, bucket_id="q4", archive=archive, pod="worker-1")
    found = await stage.diagnostics.sentinel_violations(ANA)
    assert found == [
        msgspec.structs.replace(blank, offset=1234, expected="0xABCD", actual="0x1234"),
        msgspec.structs.replace(blank, malformed="what is this"),
    ]
    assert len(found) == manifest.violations
    assert await stage.diagnostics.sentinel_violations(BOB) == []
    messages = [message for _, _, message in caplog.record_tuples]
    assert messages.count("Indexed 2 sentinel violations") == 1
    assert messages.count("Indexed 0 sentinel violations") == 1
    assert len(await entries(stage)) == 1
    assert (await stage.diagnostics.reindex(ANA, check=True, request_id="r")).equal
    assert [each.bucket_id for each in await stage.diagnostics.list_archives(ANA)] == ["q4", "q5"]
    assert (await stage.diagnostics.verify(ANA, "q4", manifest.timestamp)).holds


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_reap_that_is_killed_while_it_indexes_is_continued(stage: Stage, when: str) -> None:
    name = await violated(stage, "q4")

    def kill(call: str, arguments: tuple[object, ...]) -> None:
        if call == "write" and str(arguments[1]).startswith(INDEX):
            raise Killed

    killed = stage.with_parts(
        blobs=tap(stage.blobs, kill if when == "before" else None, kill if when == "after" else None)
    )
    with pytest.raises(BaseExceptionGroup) as caught:
        await killed.reaper("first").sweep()
    assert caught.group_contains(Killed)
    assert not await stage.is_gone(name)
    assert len([info async for info in stage.blobs.list_blobs(CONTAINER, INDEX)]) == (when == "after")
    assert (await stage.reaper("second").sweep()).successful == 1
    assert await archives_of(stage) == [f"q4/{(await stage.manifest('q4')).timestamp}"] * 2
    assert len(await entries(stage)) == 1
    assert (await stage.diagnostics.reindex(ANA, check=True, request_id="r")).right == 1


@pytest.mark.parametrize("policy", ["best-effort", "required"])
async def test_an_index_that_cannot_be_written_is_said(
    stage: Stage, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = await violated(stage, "q4")

    def refuse(call: str, arguments: tuple[object, ...]) -> None:
        if call == "write" and str(arguments[1]).startswith(INDEX):
            raise Unavailable("no more blobs today")

    how = msgspec.structs.replace(stage.policy, archive_policy=policy)
    report = await stage.with_parts(blobs=tap(stage.blobs, before=refuse), policy=how).reaper("first").sweep()
    assert "no more blobs today" in caplog.text
    assert "Indexed" not in caplog.text
    if policy == "required":
        assert report.failed == 1
        assert not await stage.is_gone(name)
        assert (await stage.reaper("second").sweep()).successful == 1
    else:
        assert report.successful == 1
        assert (await stage.manifest("q4")).state == "PartiallyComplete"
        [outcome] = [each for each in await stage.audited(operation="reap") if each.phase == "outcome"]
        assert outcome.detail["state"] == "PartiallyComplete"
        assert await stage.audited(operation="waive-archive") == []
        assert (await stage.diagnostics.reindex(ANA, check=False, request_id="r")).missing == 1
    assert len(await archives_of(stage)) == 2


async def test_the_newest_come_first_however_late_they_were_extracted(stage: Stage) -> None:
    await indexed(stage, "a/20260101-000000", said("w", at(9), ONE))
    await indexed(stage, "b/20260105-000000", said("w", at(5), ONE))
    await indexed(stage, "b/20260105-000000-2", said("w", at(5, 1), ONE))
    await indexed(stage, "c-1/20260107-000000", said("w", at(7), ONE, ONE), said("x", at(7), malformed=["?"]))
    assert await archives_of(stage) == [
        "a/20260101-000000",
        *["c-1/20260107-000000"] * 3,
        "b/20260105-000000-2",
        "b/20260105-000000",
    ]
    assert await archives_of(stage, limit=2) == ["a/20260101-000000", "c-1/20260107-000000"]
    assert await archives_of(stage, bucket_id="b") == ["b/20260105-000000-2", "b/20260105-000000"]
    assert await archives_of(stage, bucket_id="b", limit=1) == ["b/20260105-000000-2"]
    assert await archives_of(stage, bucket_id="c") == []
    since = datetime(2026, 1, 5, 1, 0, 1, tzinfo=UTC)
    assert await archives_of(stage, since=since, bucket_id="b") == ["b/20260105-000000-2"]
    assert await archives_of(stage, since=datetime(2026, 1, 9, 1, 0, 1, tzinfo=UTC)) == []


async def test_an_entry_leads_to_its_archive_and_back(stage: Stage) -> None:
    bucket = "a-20260101-000000-9"
    await indexed(stage, f"{bucket}/20260202-000000-3", said("w", "no time at all", ONE))
    [name] = await entries(stage)
    named = parse_name(name)
    assert named is not None
    assert named.path == f"{bucket}/20260202-000000-3"
    assert named.moment == datetime(2026, 2, 2, tzinfo=UTC)
    [twin] = await entries(stage, "violations-by-bucket/")
    assert parse_name(twin) == msgspec.structs.replace(named, name=twin)
    assert parse_name(twin.replace(f"/{bucket}/", "/other/")) is None
    assert parse_name(f"{INDEX}violations/x") is None
    assert parse_name(f"{INDEX}violations/{'0' * 14}_b_20260101-000000") is None


async def test_retention_takes_an_entry_with_its_archive(stage: Stage) -> None:
    first = await indexed(stage, "a/20260101-000000", said("w", at(1), ONE))
    second = await indexed(stage, "b/20260102-000000", said("w", at(2), ONE))
    third = await indexed(stage, "b/20260103-000000", said("w", at(3), ONE))
    none = await indexed(stage, "b/20260104-000000")
    for _ in range(2):  # the second time there is nothing to do
        await index(stage).remove_entry("acme", first)
        await index(stage).remove_entry("acme", none)
    assert await archives_of(stage) == ["b/20260103-000000", "b/20260102-000000"]
    # A deletion that was killed goes on when what the archive said is lost already.
    await stage.blobs.delete(CONTAINER, second.blob("sentinel-violations.json"))
    await index(stage).remove_entry("acme", second)
    await stage.hands.change(CONTAINER, third.blob("sentinel-violations.json"), lambda _: b"(")
    await index(stage).remove_entry("acme", third)
    assert await entries(stage) == []


async def test_reindexing_finds_every_difference_and_mends_it(stage: Stage) -> None:
    await indexed(stage, "right/20260101-000000", said("w", at(1), ONE))
    await make_archive(stage, "missing/20260102-000000", said("w", at(2), ONE))
    await indexed(stage, "wrong/20260103-000000", said("w", at(3), ONE))
    await indexed(stage, "none/20260104-000000")
    gone = await indexed(stage, "gone/20260105-000000", said("w", at(5), ONE))
    for name in ("manifest.json", "sentinel-violations.json"):
        await stage.blobs.delete(CONTAINER, gone.blob(name))
    await stage.blobs.write(CONTAINER, f"{INDEX}what-is-this", b"")
    [wrong] = [name for name in await entries(stage) if "_wrong_" in name]
    await stage.hands.change(CONTAINER, wrong, lambda content: content.replace(b'"0xAB"', b'"0xAC"'))

    checked = await stage.diagnostics.reindex(ANA, check=True, request_id="r")
    counts = (checked.right, checked.missing, checked.wrong, checked.extra)
    assert (checked.equal, counts, checked.archives, checked.violations) == (False, (1, 1, 1, 2), 4, 3)
    assert checked.with_violations == 3
    assert sorted(checked.differences) == [
        f"{INDEX}what-is-this has an entry, and no archive with violations",
        "gone/20260105-000000 has an entry, and no archive with violations",
        "missing/20260102-000000 is missing",
        "wrong/20260103-000000 is not what its archive says",
    ]
    assert await stage.audited(operation="reindex") == []

    mended = await stage.diagnostics.reindex(ANA, check=False, request_id="r")
    assert (mended.equal, mended.differences) == (True, checked.differences)
    again = await stage.diagnostics.reindex(ANA, check=True, request_id="r")
    assert (again.equal, again.right, again.differences) == (True, 3, [])
    assert await archives_of(stage) == ["wrong/20260103-000000", "missing/20260102-000000", "right/20260101-000000"]
    intent, outcome = await stage.audited(operation="reindex")
    assert (intent.phase, outcome.phase, outcome.result) == ("intent", "outcome", "ok")
    assert outcome.detail == {"archives": 4, "with_violations": 3, "missing": 1, "wrong": 1, "extra": 2}


async def test_the_index_is_made_from_the_archives_alone(stage: Stage) -> None:
    await violated(stage, "q4")
    record = await stage.finalized("q5")
    await stage.pod(record.name, "worker-1", "echo words")
    await stage.local.annotate_pod(record.name, "worker-1", {"memory-sentinel-violations": TEXT})
    assert (await stage.reaper().sweep()).successful == 2
    before = {name: await read_all(stage.blobs, CONTAINER, name) for name in await entries(stage)}
    assert len(before) == 2
    for name in before:
        await stage.blobs.delete(CONTAINER, name)
    assert (await stage.diagnostics.reindex(ANA, check=False, request_id="r")).equal
    assert {name: await read_all(stage.blobs, CONTAINER, name) for name in await entries(stage)} == before


async def test_a_regulatory_archive_is_indexed_beside_the_others(stage: Stage) -> None:
    place = await make_archive(stage, "archives/b/20260101-000000", said("w", at(1), ONE), container="regulatory-acme")
    assert place.path == "b/20260101-000000"
    await index(stage).add("acme", place)
    assert await archives_of(stage) == ["b/20260101-000000"]
    assert (await stage.diagnostics.reindex(ANA, check=True, request_id="r")).right == 1
    folders = await list_folders(stage.blobs, "diagnostics", "acme")
    assert ([each.path for each in folders.archives], folders.strays) == (["b/20260101-000000"], [])
    await index(stage).remove_entry("acme", place)
    assert await entries(stage) == []


async def test_what_an_unreadable_archive_said_is_kept(stage: Stage) -> None:
    place = await indexed(stage, "b/20260101-000000", said("w", at(1), ONE))
    await stage.hands.change(CONTAINER, place.blob("sentinel-violations.json"), lambda raw: b"(" + raw[1:])
    found = await stage.diagnostics.reindex(ANA, check=False, request_id="r")
    assert not found.equal
    assert "b/20260101-000000 cannot be read" in found.differences[0]
    assert await archives_of(stage) == ["b/20260101-000000"]
    [outcome] = [each for each in await stage.audited(operation="reindex") if each.phase == "outcome"]
    assert outcome.result == "the index is not equal to the archives"


async def test_a_damaged_entry_hides_no_other(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    await indexed(stage, "a/20260101-000000", said("w", at(1), ONE))
    await indexed(stage, "b/20260102-000000", said("w", at(2), ONE))
    newest, _ = await entries(stage)
    await stage.hands.change(CONTAINER, newest, flip(0))
    assert await archives_of(stage) == ["a/20260101-000000"]
    assert "violations of archive b/20260102-000000 are left out" in caplog.text
    assert (await stage.diagnostics.reindex(ANA, check=False, request_id="r")).wrong == 1
    assert await archives_of(stage) == ["b/20260102-000000", "a/20260101-000000"]


async def test_tenants_have_indexes_of_their_own(stage: Stage) -> None:
    other = await make_archive(
        stage, "b/20260101-000000", said("w", at(1), ONE), container=f"diagnostics-{tenant_key('other')}"
    )
    await index(stage).add(tenant_key("other"), other)
    assert await archives_of(stage) == []
    assert len(await stage.diagnostics.sentinel_violations(BOB)) == 1
    assert (await stage.diagnostics.reindex(ANA, check=False, request_id="r")).archives == 0
    assert len(await stage.diagnostics.sentinel_violations(BOB)) == 1


async def test_a_waived_archive_is_indexed_too(stage: Stage) -> None:
    name = await violated(stage, "q4")

    tries: list[str] = []

    def refuse(call: str, arguments: tuple[object, ...]) -> None:
        if call == "write" and str(arguments[1]).endswith("manifest.json"):
            tries.append(call)
            if len(tries) == 1:
                raise Unavailable("no more blobs today")

    report = await stage.with_parts(blobs=tap(stage.blobs, before=refuse)).reaper().sweep()
    assert report.successful == 1
    assert await stage.is_gone(name)
    manifest = await stage.manifest("q4")
    assert (manifest.state, manifest.violations) == ("Waived", 2)
    assert await archives_of(stage) == [f"q4/{manifest.timestamp}"] * 2
    assert (await stage.diagnostics.reindex(ANA, check=True, request_id="r")).right == 1
    assert (await stage.diagnostics.verify(ANA, "q4", manifest.timestamp)).differences == []


@pytest.mark.parametrize("folder", ["violations/", "violations-by-bucket/"])
async def test_an_entry_that_is_edited_or_dropped_is_named(stage: Stage, folder: str) -> None:
    await indexed(stage, "b/20260101-000000", said("w", at(1), ONE))
    [name] = await entries(stage, folder)
    content = await read_all(stage.blobs, CONTAINER, name)
    for position in (0, len(content) // 2, -1):
        await stage.hands.change(CONTAINER, name, flip(position))
        found = await stage.diagnostics.reindex(ANA, check=True, request_id="r")
        assert (found.wrong, found.differences) == (1, ["b/20260101-000000 is not what its archive says"])
        await stage.hands.change(CONTAINER, name, flip(position))
    await stage.blobs.delete(CONTAINER, name)
    found = await stage.diagnostics.reindex(ANA, check=True, request_id="r")
    assert (found.missing, found.differences) == (1, ["b/20260101-000000 is missing"])


@pytest.mark.parametrize(
    "folder", ["b/notes", "b/20260101-000000/logs", "B/20260101-000000", "b/20260101-0000000", "b/20260101-000000-x"]
)
async def test_what_is_no_archive_is_none_here_either(stage: Stage, folder: str) -> None:
    await make_archive(stage, folder, said("w", at(1), ONE))
    folders = await list_folders(stage.blobs, "diagnostics", "acme")
    assert folders.archives == []
    assert sum(stray.count for stray in folders.strays) == 2
    found = await stage.diagnostics.reindex(ANA, check=True, request_id="r")
    assert (found.archives, found.differences) == (0, [])
