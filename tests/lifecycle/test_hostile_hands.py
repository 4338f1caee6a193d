"""Someone changes what is stored behind the platform's back: every check names what it was."""

from dataclasses import replace

import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.stage import ANA, Stage
from support.stores import Change, drop, flip

from livecalc.lifecycle.archive.manifest import Manifest

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]
CONTAINER = "diagnostics-acme"


async def archived(stage: Stage) -> Manifest:
    """An archive with a blob of every kind."""
    record = await stage.namespace("b")
    await stage.pod(record.name, "worker-1", "echo one two three")
    await stage.local.annotate_pod(
        record.name, "worker-1", {"memory-sentinel-violations": "offset:64,expected:0xA5,actual:0x00"}
    )
    await stage.job(record, "j-apex00000000", "echo words")
    await stage.ended(record.name)
    answer = await stage.manager().reap_namespace(ANA, record.name, bucket_id="b", force=True, request_id="r")
    assert answer.success, answer.message
    return await stage.manifest("b")


async def differences(stage: Stage, manifest: Manifest) -> list[str]:
    found = await stage.diagnostics.verify(ANA, "b", manifest.timestamp)
    assert found.holds == (not found.differences)
    return found.differences


async def test_one_changed_byte_of_any_blob_is_named(stage: Stage) -> None:
    manifest = await archived(stage)
    folder = f"b/{manifest.timestamp}"
    assert len(manifest.blobs) == 6
    for blob in manifest.blobs:
        for position in (0, blob.bytes // 2, -1):
            await stage.hands.change(CONTAINER, f"{folder}/{blob.name}", flip(position))
            [found] = await differences(stage, manifest)
            assert found.startswith(f"{blob.name} "), found
            await stage.hands.change(CONTAINER, f"{folder}/{blob.name}", flip(position))
    assert await differences(stage, manifest) == []


@pytest.mark.parametrize("position", [0, 300, -1])
async def test_one_changed_byte_of_the_manifest_is_named(stage: Stage, position: int) -> None:
    manifest = await archived(stage)
    name = f"b/{manifest.timestamp}/manifest.json"
    await stage.hands.change(CONTAINER, name, flip(position))
    assert any("manifest" in each for each in await differences(stage, manifest))


async def test_a_manifest_that_was_forged_whole_is_named(stage: Stage) -> None:
    """With its digest and all: what the audit log says of it is another."""
    manifest = await archived(stage)
    name = f"b/{manifest.timestamp}/manifest.json"
    forged: list[bytes] = []

    def forge(content: bytes) -> bytes:
        forged.append(content.replace(b'"reaped_by": "ana"', b'"reaped_by": "bob"'))
        assert forged[0] != content
        return forged[0]

    about = (await stage.blobs.stat(CONTAINER, name)).metadata
    await stage.hands.change(CONTAINER, name, forge)
    await stage.hands.change(CONTAINER, name, drop)
    await stage.blobs.write(CONTAINER, name, forged[0], metadata=about)
    assert any("audit" in each for each in await differences(stage, manifest)), await differences(stage, manifest)


async def test_each_blob_that_is_missing_is_named(stage: Stage) -> None:
    manifest = await archived(stage)
    gone: list[str] = []
    for blob in manifest.blobs:
        await stage.hands.change(CONTAINER, f"b/{manifest.timestamp}/{blob.name}", drop)
        gone.append(blob.name)
        found = await differences(stage, manifest)
        assert [each for each in found if "missing" in each] == [f"{name} is missing" for name in sorted(gone)]


async def test_cut_and_lengthened_blobs_are_named(stage: Stage) -> None:
    manifest = await archived(stage)
    log = next(blob for blob in manifest.blobs if blob.name == "logs/worker-1.log")
    for content in (b"one two three", b"one two three\nx", b""):
        await stage.hands.change(CONTAINER, f"b/{manifest.timestamp}/{log.name}", _to(content))
        [found] = await differences(stage, manifest)
        assert found.startswith("logs/worker-1.log ")
    await stage.hands.change(CONTAINER, f"b/{manifest.timestamp}/{log.name}", _to(b"one two three\n"))
    assert await differences(stage, manifest) == []


def _to(content: bytes) -> Change:
    return lambda _: content


@pytest.mark.parametrize("change", [flip(40), drop], ids=["one byte", "dropped"])
async def test_a_changed_audit_record_is_named(stage: Stage, change: Change) -> None:
    await archived(stage)
    for number in range(1, (await stage.audit.verify("acme")).records):
        other = replace(stage)  # a log of its own: what this process has seen is no help
        kept: list[bytes] = []

        def edit(content: bytes, kept: list[bytes] = kept) -> bytes | None:
            kept.append(content)
            return change(content)

        await stage.hands.change("audit-acme", f"{number:012}", edit)
        found = await other.audit.verify("acme")
        assert (found.holds, found.first_bad) == (False, number)
        if change is drop:
            await stage.blobs.write("audit-acme", f"{number:012}", kept[0])
        else:
            await stage.hands.change("audit-acme", f"{number:012}", change)
    assert (await stage.audit.verify("acme")).holds


async def test_a_chain_cut_at_its_end_is_seen_by_the_archives_head(stage: Stage) -> None:
    manifest = await archived(stage)
    assert manifest.audit_head is not None
    number = int(manifest.audit_head.partition(":")[0])
    records = (await stage.audit.verify("acme")).records
    for sequence in range(records, number - 1, -1):
        await stage.hands.change("audit-acme", f"{sequence:012}", drop)
    heads = await stage.diagnostics.audit_heads(ANA)
    assert (await stage.audit.verify("acme")).holds, "nobody can tell from the chain alone"
    found = await stage.audit.verify("acme", heads=heads)
    assert (found.holds, found.first_bad) == (False, number)
    assert any("audit" in each for each in await differences(stage, manifest))
