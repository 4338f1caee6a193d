"""Reading archives: lists, manifests, blobs, and a check that finds every difference."""

import tracemalloc

import msgspec
import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.stage import ANA, BOB, Stage
from lifecycle.taps import tap
from support.stores import flip

from livecalc.domain.errors import InvalidInput, NotFound
from livecalc.lifecycle.archive.manifest import Manifest, encode

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]


async def archived(stage: Stage, bucket_id: str = "b") -> str:
    record = await stage.namespace(bucket_id)
    await stage.pod(record.name, "worker-1", "echo one two three")
    await stage.manager().finalize_namespace(ANA, record.name, force=False, request_id="f")
    assert (await stage.reaper().sweep()).successful == 1
    return (await stage.diagnostics.latest(ANA, bucket_id)).timestamp


async def test_archives_are_listed_by_bucket_and_tenant(stage: Stage) -> None:
    first = await archived(stage)
    second = await archived(stage)
    other = await archived(stage, "c")
    diagnostics = stage.diagnostics
    assert [each.timestamp for each in await diagnostics.list_archives(ANA, "b")] == [first, second]
    assert [each.timestamp for each in await diagnostics.list_archives(ANA)] == [first, second, other]
    assert await diagnostics.list_archives(BOB) == []
    assert await diagnostics.list_archives(ANA, "../acme") == []
    [archive] = await diagnostics.list_archives(ANA, "c")
    assert (archive.state, archive.blobs, archive.violations) == ("PartiallyComplete", 4, 0)
    assert archive.reaped_by == "system:cleanup-worker"
    assert archive.bytes > len("one two three")
    with pytest.raises(NotFound, match="has no archive"):
        await diagnostics.latest(ANA, "never")


async def test_the_newest_is_found_by_its_manifest_alone(stage: Stage) -> None:
    first = await archived(stage)
    second = await archived(stage)
    reads: list[str] = []

    def count(call: str, arguments: tuple[object, ...]) -> None:
        if call == "read":
            reads.append(str(arguments[1]))

    seen = stage.with_parts(blobs=tap(stage.blobs, count)).diagnostics
    assert (await seen.latest(ANA, "b")).timestamp == second
    assert reads == [f"b/{second}/manifest.json"]
    await stage.hands.change("diagnostics-acme", f"b/{second}/manifest.json", flip(0))
    assert (await seen.latest(ANA, "b")).timestamp == first


async def test_many_archives_are_listed_in_little_memory(stage: Stage) -> None:
    sample = await stage.diagnostics.manifest(ANA, "b", await archived(stage))
    large = msgspec.json.decode(sample, type=Manifest)
    large = msgspec.structs.replace(large, pods=[*large.pods] * 1000)
    for number in range(60):
        manifest = msgspec.structs.replace(large, bucket_id="c", timestamp=f"20260101-0000{number:02}")
        await stage.blobs.write("diagnostics-acme", f"c/{manifest.timestamp}/manifest.json", encode(manifest))
    size = len(encode(large))
    tracemalloc.start()
    try:
        assert len(await stage.diagnostics.list_archives(ANA, "c")) == 60
        assert len(await stage.diagnostics.audit_heads(ANA)) == 61
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * size, f"{peak:,} bytes, and a manifest has {size:,}"


async def test_blobs_are_read_whole_or_in_parts_by_their_tenant(stage: Stage) -> None:
    timestamp = await archived(stage)
    path = f"b/{timestamp}/logs/worker-1.log"
    assert await stage.blob(path) == b"one two three\n"
    assert (await stage.diagnostics.stat_blob(ANA, path)).size == 14
    part = stage.diagnostics.read_blob(ANA, path, offset=4, length=3)
    assert b"".join([chunk async for chunk in part]) == b"two"
    raw = await stage.diagnostics.manifest(ANA, "b", timestamp)
    assert msgspec.json.decode(raw)["namespace"] == "livecalc-bucket-b"
    with pytest.raises(NotFound):
        await stage.diagnostics.stat_blob(BOB, path)
    with pytest.raises(NotFound):
        await stage.diagnostics.manifest(BOB, "b", timestamp)


@pytest.mark.parametrize("path", ["", "b", "b/x", "b/../../../etc/passwd", "b//x", "/b/x/y", "b/x/..", "b/\x00/y"])
async def test_paths_that_are_none_are_refused(stage: Stage, path: str) -> None:
    with pytest.raises((InvalidInput, NotFound)):
        await stage.diagnostics.stat_blob(ANA, path)


@pytest.mark.parametrize(
    ("bucket_id", "timestamp"), [("b", "20260101-000000"), ("b", ".."), ("..", "x"), ("B", "20260101-000000")]
)
async def test_there_is_no_such_archive(stage: Stage, bucket_id: str, timestamp: str) -> None:
    for answer in (stage.diagnostics.manifest, stage.diagnostics.verify, stage.diagnostics.violations):
        with pytest.raises(NotFound, match="there is no archive"):
            await answer(ANA, bucket_id, timestamp)


async def test_verifying_finds_every_difference(stage: Stage) -> None:
    timestamp = await archived(stage)
    held = await stage.diagnostics.verify(ANA, "b", timestamp)
    assert (held.holds, held.differences, held.blobs) == (True, [], 4)

    log = f"b/{timestamp}/logs/worker-1.log"
    await stage.hands.change("diagnostics-acme", log, lambda _: b"one TWO three\n")
    found = await stage.diagnostics.verify(ANA, "b", timestamp)
    assert not found.holds
    assert found.differences[0].startswith("logs/worker-1.log has digest ")
    await stage.hands.change("diagnostics-acme", log, lambda _: b"shorter")
    found = await stage.diagnostics.verify(ANA, "b", timestamp)
    assert found.differences[0].startswith("logs/worker-1.log ")
    await stage.hands.change("diagnostics-acme", log, lambda _: b"one two three\n")
    assert (await stage.diagnostics.verify(ANA, "b", timestamp)).holds

    await stage.blobs.write("diagnostics-acme", f"b/{timestamp}/logs/forged.log", b"never printed")
    await stage.blobs.delete("diagnostics-acme", f"b/{timestamp}/events.json")
    found = await stage.diagnostics.verify(ANA, "b", timestamp)
    assert found.differences == ["events.json is missing", "logs/forged.log is not in the manifest"]


async def test_a_jobs_archive_is_the_one_that_knows_it(stage: Stage) -> None:
    record = await stage.namespace("b")
    await stage.job(record, "j-apex00000000", "echo words")
    await stage.ended(record.name)
    answer = await stage.manager().reap_namespace(ANA, record.name, bucket_id="b", force=True, request_id="1")
    assert answer.success
    first = await stage.diagnostics.latest(ANA, "b")
    await archived(stage)
    assert await stage.diagnostics.archives_by_job(ANA, "b") == {"j-apex00000000": first}
    assert await stage.diagnostics.archives_by_job(BOB, "b") == {}
    assert await stage.diagnostics.logs_of_job(ANA, "b", "j-never0000000") == []
