"""Verifying: whatever is changed, dropped or forged in the store is named, archive by archive."""

from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.stage import ANA, BOB, Stage
from lifecycle.taps import Killed, tap
from support.stores import drop, flip

from livecalc.blobs.port import read_all
from livecalc.domain.errors import NotFound
from livecalc.domain.timestamps import archive_timestamp
from livecalc.lifecycle.journal import RETENTION_DELETE
from livecalc.wire.diagnostics import ArchiveVerification

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]

CONTAINER = "diagnostics-acme"
AUDIT = "audit-acme"


async def archived(stage: Stage, bucket_id: str = "b") -> str:
    """Reap a bucket with one pod; returns the path of its archive."""
    record = await stage.finalized(bucket_id)
    await stage.pod(record.name, "worker-1", "echo one two three")
    assert (await stage.reaper().sweep()).successful == 1
    return f"{bucket_id}/{(await stage.diagnostics.latest(ANA, bucket_id)).timestamp}"


async def differences(stage: Stage, archive: str) -> list[str]:
    found = await stage.diagnostics.verify(ANA, *archive.split("/"))
    assert found.holds == (not found.differences)
    return found.differences


async def verify_all(stage: Stage) -> list[ArchiveVerification]:
    return [each async for each in stage.diagnostics.verify_all(ANA)]


async def all_differences(stage: Stage) -> dict[str, list[str]]:
    return {each.archive: each.differences for each in await verify_all(stage) if not each.holds}


async def rewrite(stage: Stage, name: str, change: Callable[[bytes], bytes], container: str = CONTAINER) -> None:
    """Put other bytes in a blob's place, with all that the store notes of them: as its owner can."""
    content = change(await read_all(stage.blobs, container, name))
    metadata = (await stage.blobs.stat(container, name)).metadata
    await stage.blobs.delete(container, name)
    await stage.blobs.write(container, name, content, metadata=metadata)


async def remove(stage: Stage, archive: str) -> None:
    for name in [info.name async for info in stage.blobs.list_blobs(CONTAINER, f"{archive}/")]:
        await stage.blobs.delete(CONTAINER, name)


async def test_an_archive_that_nobody_touched_holds(stage: Stage) -> None:
    archive = await archived(stage)
    [found] = await verify_all(stage)
    assert (found.archive, found.holds, found.differences) == (archive, True, [])
    [outcome] = [each for each in await stage.audited(operation="reap") if each.phase == "outcome"]
    assert found.manifest_sha256 == outcome.detail["manifest_sha256"]
    assert [each async for each in stage.diagnostics.verify_all(BOB)] == []


async def archived_whole(stage: Stage) -> tuple[str, list[str]]:
    """Reap a bucket with a job and a violation; returns the path of its archive, and its blobs: one of each kind."""
    record = await stage.finalized("b")
    await stage.job(record, "j-apex00000000", "echo words")
    await stage.ended(record.name)
    await stage.pod(record.name, "worker-1", "echo one two three")
    violation = "offset:1234,expected:0xABCD,actual:0x1234"
    await stage.local.annotate_pod(record.name, "worker-1", {"memory-sentinel-violations": violation})
    assert (await stage.reaper().sweep()).successful == 1
    archive = f"b/{(await stage.diagnostics.latest(ANA, 'b')).timestamp}"
    names = [info.name async for info in stage.blobs.list_blobs(CONTAINER, f"{archive}/")]
    kinds = {name.removeprefix(f"{archive}/").partition("/")[0] for name in names}
    assert kinds == {"events.json", "jobs", "logs", "manifest.json", "pods.json", "sentinel-violations.json"}
    return archive, names


@pytest.mark.parametrize("position", [0, 40, -3])
async def test_every_byte_of_every_blob_counts(stage: Stage, position: int) -> None:
    archive, names = await archived_whole(stage)
    for name in names:
        content = await read_all(stage.blobs, CONTAINER, name)
        where = position if abs(position) < len(content) else 0
        await stage.hands.change(CONTAINER, name, flip(where))
        found = await differences(stage, archive)
        assert found, (name, where)
        assert found[0].startswith(name.removeprefix(f"{archive}/")), (found, name)
        await stage.hands.change(CONTAINER, name, flip(where))
    assert await differences(stage, archive) == []


async def test_every_blob_that_is_dropped_is_named(stage: Stage) -> None:
    archive, names = await archived_whole(stage)
    for name in names:
        content = await read_all(stage.blobs, CONTAINER, name)
        metadata = (await stage.blobs.stat(CONTAINER, name)).metadata
        await stage.blobs.delete(CONTAINER, name)
        inner = name.removeprefix(f"{archive}/")
        found = await differences(stage, archive)
        if inner == "manifest.json":
            assert found[0].startswith("it is gone: audit record ")
        else:
            assert found == [f"{inner} is missing"]
        assert archive in await all_differences(stage)
        await stage.blobs.write(CONTAINER, name, content, metadata=metadata)
    await stage.hands.change(CONTAINER, f"{archive}/pods.json", drop)
    assert (await differences(stage, archive))[0].startswith("pods.json")


async def test_manifests_that_were_exchanged_are_named(stage: Stage) -> None:
    paths = [await archived(stage), await archived(stage, "c")]
    raw = [await read_all(stage.blobs, CONTAINER, f"{path}/manifest.json") for path in paths]
    for path, other in zip(paths, reversed(raw), strict=True):
        await rewrite(stage, f"{path}/manifest.json", lambda _, to=other: to)
    found = await all_differences(stage)
    assert list(found) == paths
    for path, other in zip(paths, reversed(paths), strict=True):
        assert found[path][0] == f"manifest.json is that of archive {other}"
        assert any(each.startswith("manifest.json has digest ") for each in found[path])


async def test_every_audit_record_that_is_edited_or_dropped_is_named(stage: Stage) -> None:
    archive = await archived(stage)
    records = [info.name async for info in stage.blobs.list_blobs(AUDIT)]
    for number, name in enumerate(records, 1):
        for position in (0, 100, -3):
            await stage.hands.change(AUDIT, name, flip(position))
            assert f"from record {number} on does not hold" in (await differences(stage, archive))[0]
            await stage.hands.change(AUDIT, name, flip(position))
        original = await read_all(stage.blobs, AUDIT, name)
        await stage.blobs.delete(AUDIT, name)
        found = await differences(stage, archive)
        if number < len(records):
            assert f"from record {number} on does not hold: it is missing" in found[0]
        else:
            assert found[0].startswith("the audit chain has the beginning of the reap that made it, and the record ")
        await stage.blobs.write(AUDIT, name, original)
    assert await differences(stage, archive) == []


async def test_an_end_of_the_chain_that_was_cut_off_is_named_by_the_head_in_the_manifest(stage: Stage) -> None:
    archive = await archived(stage)
    head = (await stage.manifest("b")).audit_head
    assert head is not None
    records = [info.name async for info in stage.blobs.list_blobs(AUDIT)]
    for name in records[int(head.partition(":")[0]) - 1 :]:
        await stage.blobs.delete(AUDIT, name)
    assert await differences(stage, archive) == [
        "the audit chain has no reap that made it",
        f"its audit head {head[:20]} is not in the audit chain, which has {int(head.partition(':')[0]) - 1} records",
    ]


async def test_a_forgery_that_fits_the_manifest_is_found_by_the_audit_record(stage: Stage) -> None:
    archive = await archived(stage)
    old = (await stage.blobs.stat(CONTAINER, f"{archive}/logs/worker-1.log")).sha256
    await rewrite(stage, f"{archive}/logs/worker-1.log", lambda raw: raw.replace(b"two", b"TWO"))
    new = (await stage.blobs.stat(CONTAINER, f"{archive}/logs/worker-1.log")).sha256
    await rewrite(stage, f"{archive}/manifest.json", lambda raw: raw.replace(old.encode(), new.encode()))
    [found] = await differences(stage, archive)
    assert found.startswith("manifest.json has digest ")
    assert "audit record" in found


async def test_an_audit_head_that_never_was_is_named(stage: Stage) -> None:
    archive = await archived(stage)
    head = (await stage.manifest("b")).audit_head
    assert head is not None
    number, _, digest = head.partition(":")
    for forged in (f"{number}:{digest[::-1]}", f"99:{digest}"):
        await rewrite(stage, f"{archive}/manifest.json", lambda raw, to=forged: raw.replace(head.encode(), to.encode()))
        digests, heads = await differences(stage, archive)
        assert digests.startswith("manifest.json has digest ")
        assert heads.startswith(f"its audit head {forged[:20]} is not ")
        await rewrite(stage, f"{archive}/manifest.json", lambda raw, of=forged: raw.replace(of.encode(), head.encode()))
    assert await differences(stage, archive) == []


async def test_an_audit_chain_that_is_damaged_or_missing_is_a_difference(stage: Stage) -> None:
    archive = await archived(stage)
    records = [info.name async for info in stage.blobs.list_blobs(AUDIT)]
    original = await read_all(stage.blobs, AUDIT, records[1])
    await rewrite(stage, records[1], lambda raw: raw.replace(b"ana", b"eve"), AUDIT)
    found = await differences(stage, archive)
    assert found[0].startswith("the audit chain from record 2 on does not hold: ")
    assert found[1] == "the audit chain is broken at record 2, so that it cannot prove which reap made it"
    await rewrite(stage, records[1], lambda _: original, AUDIT)
    assert await differences(stage, archive) == []

    await stage.blobs.delete(AUDIT, records[1])
    assert "from record 2 on does not hold: it is missing" in (await differences(stage, archive))[0]
    assert "*" in await all_differences(stage)
    await stage.blobs.write(AUDIT, records[1], original)

    await stage.blobs.delete(AUDIT, records[-1])
    [unended] = await differences(stage, archive)
    assert unended.startswith(
        "the audit chain has the beginning of the reap that made it, and the record of its end is m"
    )
    for record in records[:-1]:
        await stage.blobs.delete(AUDIT, record)
    found = await differences(stage, archive)
    assert found == [
        "the audit chain has no record: it is missing",
        "the audit chain has no reap that made it",
    ]


async def test_a_manifest_that_is_none_is_named(stage: Stage) -> None:
    archive = await archived(stage)
    name = f"{archive}/manifest.json"
    original = await read_all(stage.blobs, CONTAINER, name)

    def no_json(raw: bytes) -> bytes:
        return b"(" + raw[1:]

    def no_text(_: bytes) -> bytes:
        return b"\xff\xfe"

    def without_a_state(raw: bytes) -> bytes:
        return msgspec.json.encode({key: value for key, value in msgspec.json.decode(raw).items() if key != "state"})

    def with_more(raw: bytes) -> bytes:
        return msgspec.json.encode(msgspec.json.decode(raw) | {"more": 1})

    def of_another(raw: bytes) -> bytes:
        return raw.replace(b'"bucket_id": "b"', b'"bucket_id": "c"')

    def of_a_format_to_come(raw: bytes) -> bytes:
        return raw.replace(b'"format": 1', b'"format": 2').replace(b'"state":', b'"states":')

    def with_a_way_out(raw: bytes) -> bytes:
        return raw.replace(b"logs/worker-1.log", b"logs/../../worker")

    for change, said in (
        (no_json, "manifest.json cannot be read: "),
        (no_text, "manifest.json cannot be read: "),
        (without_a_state, "manifest.json: state is missing"),
        (with_more, "manifest.json: more is not known to this format"),
        (of_another, "manifest.json is that of archive c/"),
        (of_a_format_to_come, "manifest.json cannot be read: its format is 2, and this livecalc reads 1 and those bef"),
        (with_a_way_out, "manifest.json lists what is no blob: "),
    ):
        await rewrite(stage, name, change)
        found = await differences(stage, archive)
        assert any(each.startswith(said) for each in found), (said, found)
        assert any(each.startswith("manifest.json has digest ") for each in found)
        assert list(await all_differences(stage)) == [archive]
        await rewrite(stage, name, lambda _: original)
    assert await differences(stage, archive) == []


async def test_a_manifest_that_is_nested_too_deeply_hides_no_other(stage: Stage) -> None:
    archive, other = await archived(stage), await archived(stage, "c")
    await rewrite(stage, f"{archive}/manifest.json", lambda _: b'{"x":' + b"[" * 5000)
    assert [f"c/{each.timestamp}" for each in await stage.diagnostics.list_archives(ANA)] == [other]
    found = await all_differences(stage)
    assert (list(found), found[archive][0]) == ([archive], "manifest.json cannot be read: it is nested too deeply")


async def test_a_log_that_the_manifest_does_not_list_is_named(stage: Stage) -> None:
    archive = await archived(stage)
    await rewrite(
        stage,
        f"{archive}/manifest.json",
        lambda raw: msgspec.json.encode(msgspec.json.decode(raw) | {"blobs": []}),
    )
    found = await differences(stage, archive)
    assert "manifest.json does not list logs/worker-1.log as its pods say it" in found
    assert "logs/worker-1.log is not in the manifest" in found


async def test_an_archive_that_is_gone_is_named_unless_retention_deleted_it(stage: Stage) -> None:
    first, second = await archived(stage), await archived(stage, "c")
    await stage.blobs.delete(CONTAINER, f"{first}/manifest.json")
    assert (await differences(stage, first))[0].startswith("it is gone: audit record ")
    await remove(stage, first)
    assert await differences(stage, first) == (await stage.diagnostics.verify_latest(ANA, "b")).differences
    found = await all_differences(stage)
    assert list(found) == [first]
    assert found[first][0].startswith("it is gone: audit record ")
    await deleting(stage, first)
    assert await all_differences(stage) == {}
    assert [each.archive for each in await verify_all(stage)] == [second]
    with pytest.raises(NotFound):
        await differences(stage, first)
    with pytest.raises(NotFound):
        await stage.diagnostics.verify_latest(ANA, "b")


@pytest.mark.parametrize("result", ["kept after all: held", "blob store x does not answer"])
async def test_a_deletion_that_was_tried_and_failed_is_none(stage: Stage, result: str) -> None:
    archive = await archived(stage)
    await remove(stage, archive)
    await deleting(stage, archive)
    assert await all_differences(stage) == {}
    number = await deleting(stage, archive, result)
    [gone] = (await all_differences(stage))[archive]
    assert gone.endswith(f" none that retention deleted it; it was tried, audit record {number}: {result}")
    await deleting(stage, archive)
    assert await all_differences(stage) == {}
    await deleting(stage, archive, "ok")
    assert await all_differences(stage) == {}


async def deleting(stage: Stage, archive: str, result: str | None = None) -> int:
    """Record that retention deletes an archive, or what came of it; returns the record's number."""
    record = await stage.audit.record(
        tenant_id="acme", user_id="system:retention", operation=RETENTION_DELETE,
        phase="outcome" if result else "intent", result=result, request_id="1", detail={"archive": archive},
    )  # fmt: skip
    return record.sequence


async def test_an_archive_that_never_was_is_not_found(stage: Stage) -> None:
    archive = await archived(stage)
    with pytest.raises(NotFound):
        await differences(stage, "b/20200101-000000")
    with pytest.raises(NotFound):
        await stage.diagnostics.verify_latest(ANA, "c")
    with pytest.raises(NotFound):
        await stage.diagnostics.verify(BOB, *archive.split("/"))
    with pytest.raises(NotFound):
        await stage.diagnostics.verify_latest(BOB, "b")


async def test_a_bucket_is_verified_by_its_newest_and_tells_of_those_that_are_gone(stage: Stage) -> None:
    older = await archived(stage)
    newer = await archived(stage)
    found = await stage.diagnostics.verify_latest(ANA, "b")
    assert (found.archive, found.holds) == (newer, True)
    await remove(stage, older)
    found = await stage.diagnostics.verify_latest(ANA, "b")
    assert (found.archive, found.holds, len(found.differences)) == (newer, False, 1)
    assert found.differences[0].startswith(f"archive {older}: it is gone: audit record ")
    await remove(stage, newer)
    found = await stage.diagnostics.verify_latest(ANA, "b")
    assert (found.archive, found.holds, len(found.differences)) == (newer, False, 2)


async def test_an_archive_without_a_reap_is_named(stage: Stage) -> None:
    archive = await archived(stage)
    copied = "b/20200101-000000"
    for name in [info.name async for info in stage.blobs.list_blobs(CONTAINER, f"{archive}/")]:
        content = await read_all(stage.blobs, CONTAINER, name)
        await stage.blobs.write(CONTAINER, name.replace(archive, copied), content)
    found = await all_differences(stage)
    assert found == {
        copied: [f"manifest.json is that of archive {archive}", "the audit chain has no reap that made it"]
    }


async def test_blobs_of_no_archive_are_named(stage: Stage) -> None:
    await archived(stage)
    await stage.blobs.write(CONTAINER, "b/20200101-000000/logs/x.log", b"x")
    await stage.blobs.write(CONTAINER, "b/20200101-000000/logs/y.log", b"x")
    await stage.blobs.write(CONTAINER, "b/notes.txt", b"x")
    await stage.blobs.write(CONTAINER, "_index/violations/x", b"[]")
    assert await all_differences(stage) == {
        "*": [
            "2 blobs in b/20200101-000000 are of no archive, the first is b/20200101-000000/logs/x.log",
            "1 blobs in b are of no archive, the first is b/notes.txt",
        ]
    }


async def test_a_reap_under_way_is_no_orphan(stage: Stage) -> None:
    record = await stage.finalized("b")
    await stage.pod(record.name, "worker-1", "echo one two three")

    with pytest.raises(BaseExceptionGroup):
        await killed_at_manifest(stage).reaper("first").sweep()
    assert await verify_all(stage) == []
    assert (await stage.reaper("second").sweep()).successful == 1
    assert [each.holds for each in await verify_all(stage)] == [True]


def killed_at_manifest(stage: Stage) -> Stage:
    """The same stage, for a process that dies when it is about to write a manifest."""

    def kill(call: str, arguments: tuple[object, ...]) -> None:
        if call == "write" and str(arguments[1]).endswith("/manifest.json"):
            raise Killed

    return stage.with_parts(blobs=tap(stage.blobs, kill))


async def reap_as_asked(stage: Stage, bucket_id: str, holder: str) -> None:
    """Reap a bucket's new namespace as an API call does whose X-Request-Id its caller used before."""
    record = await stage.namespace(bucket_id)
    await stage.pod(record.name, "worker-1", "echo one two three")
    record = await stage.local.get_namespace(record.name)
    outcome = await stage.reaper(holder).reap_one(record, reason="asked", user_id="ana", request_id="same")
    assert outcome.success


async def test_a_request_id_that_a_caller_repeats_tells_namespaces_apart(stage: Stage) -> None:
    with pytest.raises(Killed):
        await reap_as_asked(killed_at_manifest(stage), "b", "first")
    await reap_as_asked(stage, "c", "second")
    # The reap of the other bucket is not the end of this one.
    assert [(each.archive[0], each.holds) for each in await verify_all(stage)] == [("c", True)]
    assert (await stage.reaper("third").sweep()).successful == 1
    assert [(each.archive[0], each.holds) for each in await verify_all(stage)] == [("b", True), ("c", True)]


async def test_a_request_id_that_a_caller_repeats_tells_reapings_of_one_bucket_apart(stage: Stage) -> None:
    await reap_as_asked(stage, "b", "first")
    with pytest.raises(Killed):
        await reap_as_asked(killed_at_manifest(stage), "b", "second")
    # Who continues looks back for what is audited already, and must not take the first one's records for its own.
    assert (await stage.reaper("third").sweep()).successful == 1
    assert [(each.holds, each.differences) for each in await verify_all(stage)] == [(True, [])] * 2
    records = await stage.audited(operation="reap")
    assert [each.phase for each in records] == ["intent", "outcome"] * 2
    assert len({each.request_id for each in records}) == 2


async def test_an_archive_that_came_too_early_is_vouched_for_by_the_next(stage: Stage) -> None:
    record = await stage.finalized("b")
    seen: list[str] = []

    async def come_late(call: str, _: tuple[object, ...]) -> None:
        seen.append(call)
        if call == "list_volume_claims" and seen.count(call) == 2:
            await stage.pod(record.name, "late", "echo late words")

    def kill(call: str, arguments: tuple[object, ...]) -> None:
        # The archive has its next path already; what leads back to the one before is lost with the process.
        if call == "write" and "-2/logs/" in str(arguments[1]):
            raise Killed

    killed = stage.with_parts(cluster=tap(stage.cluster, pause=come_late), blobs=tap(stage.blobs, kill))
    with pytest.raises(BaseExceptionGroup):
        await killed.reaper("first").sweep()
    assert (await stage.reaper("second").sweep()).successful == 1
    early, late = await stage.manifests("b")
    assert late.supersedes == f"b/{early.timestamp}"
    assert [each.holds for each in await verify_all(stage)] == [True, True]
    await rewrite(stage, f"b/{early.timestamp}/manifest.json", lambda raw: raw + b" ")
    assert await all_differences(stage) == {f"b/{early.timestamp}": ["the audit chain has no reap that made it"]}
    await stage.blobs.delete(CONTAINER, f"b/{early.timestamp}/manifest.json")
    gone = f"archive b/{early.timestamp}, which came too early and which this one vouches for, is gone"
    assert await all_differences(stage) == {f"b/{late.timestamp}": [gone]}


async def test_a_broken_chain_makes_no_manifest_be_read_twice(stage: Stage) -> None:
    paths = [await archived(stage) for _ in range(3)]
    await stage.hands.change(AUDIT, "000000000001", flip(0))
    reads: list[str] = []

    def count(call: str, arguments: tuple[object, ...]) -> None:
        if call == "read" and str(arguments[1]).endswith("/manifest.json"):
            reads.append(str(arguments[1]).removesuffix("/manifest.json"))

    found = [each async for each in stage.with_parts(blobs=tap(stage.blobs, count)).diagnostics.verify_all(ANA)]
    assert [each.holds for each in found] == [False] * 4
    # Once each, and those of one second perhaps by the one before.
    assert len(reads) <= 2 * len(paths)


async def test_blobs_alone_are_verified_without_the_chain(stage: Stage) -> None:
    archive = await archived(stage)
    touched: set[object] = set()
    seen = stage.with_parts(blobs=tap(stage.blobs, lambda _, arguments: touched.add(arguments[0]))).diagnostics
    bucket, timestamp = archive.split("/")
    assert (await seen.verify_blobs(ANA, bucket, timestamp)).holds
    assert AUDIT not in touched
    await stage.hands.change(CONTAINER, f"{archive}/pods.json", flip(0))
    assert [each[:9] for each in (await seen.verify_blobs(ANA, bucket, timestamp)).differences] == ["pods.json"]
    with pytest.raises(NotFound):
        await seen.verify_blobs(BOB, bucket, timestamp)
    with pytest.raises(NotFound):
        await seen.verify_blobs(ANA, bucket, "20200101-000000")


async def test_what_a_reap_left_under_an_earlier_number_is_no_orphan(stage: Stage) -> None:
    record = await stage.finalized("b")
    await stage.pod(record.name, "worker-1", "echo one two three")
    moment = (await stage.cluster.now()).replace(microsecond=0)
    # Whenever it begins: these are of another namespace, so the archive goes on under the next number.
    for second in range(60):
        path = f"b/{archive_timestamp(moment + timedelta(seconds=second))}"
        await stage.blobs.write(CONTAINER, f"{path}/events.json", b"[]", metadata={"namespace_uid": "another"})
    assert (await stage.reaper().sweep()).successful == 1
    manifest = await stage.manifest("b")
    assert manifest.timestamp.endswith("-2")
    found = await all_differences(stage)
    assert len(found["*"]) == 59
    assert not any(manifest.timestamp[:15] in each for each in found["*"])
