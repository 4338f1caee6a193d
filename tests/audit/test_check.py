"""`verify` finds edits and deletions anywhere, and truncation back to a head held elsewhere."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from livecalc.audit.log import AuditLog
from livecalc.blobs.directory import DirectoryStore
from livecalc.blobs.port import read_all
from livecalc.domain.audit import AuditRecord, seal
from livecalc.domain.errors import InvalidInput
from livecalc.wire.diagnostics import AuditVerification

pytestmark = pytest.mark.anyio

BOX = "audit-acme"
Fill = Callable[[int], Awaitable[list[AuditRecord]]]


def blob(sequence: int) -> str:
    return f"{sequence:012}"


async def replace(store: DirectoryStore, sequence: int, content: bytes) -> None:
    await store.delete(BOX, blob(sequence))
    await store.write(BOX, blob(sequence), content)


def found(verification: AuditVerification) -> tuple[bool, int | None]:
    assert (verification.reason is None) == verification.holds
    return verification.holds, verification.first_bad


async def test_an_untouched_chain_holds(log: AuditLog, fill: Fill) -> None:
    assert await log.verify("acme") == AuditVerification(holds=True, records=0, head=None, first_bad=None, reason=None)
    records = await fill(5)
    assert await log.verify("acme") == AuditVerification(
        holds=True, records=5, head=records[-1].hash, first_bad=None, reason=None
    )


async def test_jq_hashes_a_record_as_we_do(log: AuditLog, store: DirectoryStore) -> None:
    """Whatever is in its text: so an auditor needs nothing of ours (docs/auditors.md)."""
    reason = "".join(map(chr, [*range(1, 0x100), 0x2028, 0xFEFF, 0x1F4A3]))
    await log.record(
        tenant_id="acme", user_id="joe", operation="hold", phase="intent", request_id="r", detail={"reason": reason}
    )
    raw = await read_all(store, BOX, blob(1))
    said = await anyio.run_process(["jq", "-cjS", "del(.hash)"], input=raw)
    assert hashlib.sha256(said.stdout).hexdigest() == msgspec.json.decode(raw, type=dict[str, Any])["hash"]


@pytest.mark.parametrize("position", [1, 3, 5])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sequence", 9), ("previous", "1" * 64), ("timestamp", "2026-01-25T01:00:00Z"), ("tenant_id", "other"),
        ("user_id", "joe"), ("operation", "cancel"), ("phase", "outcome"), ("result", "ok"), ("namespace", "x"),
        ("bucket_id", "x"), ("request_id", "x"), ("detail", {"number": 99}), ("hash", "0" * 64), ("extra", "field"),
    ],
)  # fmt: skip
async def test_an_edit_of_any_field_is_found(  # noqa: PLR0913, PLR0917  (fixtures and parameters)
    log: AuditLog, store: DirectoryStore, fill: Fill, position: int, field: str, value: Any
) -> None:
    await fill(5)
    content = msgspec.json.decode(await read_all(store, BOX, blob(position)), type=dict[str, Any])
    assert content.get(field) != value
    await replace(store, position, msgspec.json.encode({**content, field: value}, order="sorted"))
    verification = await log.verify("acme")
    assert found(verification) == (False, position)
    assert verification.records == 5


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"\xff\xfe", b'{"x":' + b"[" * 5000])
async def test_a_record_that_is_none(log: AuditLog, store: DirectoryStore, fill: Fill, content: bytes) -> None:
    await fill(3)
    await replace(store, 2, content)
    verification = await log.verify("acme")
    assert found(verification) == (False, 2)
    assert verification.reason is not None
    assert "cannot be read" in verification.reason


async def test_other_bytes_of_the_same_meaning_are_an_edit(log: AuditLog, store: DirectoryStore, fill: Fill) -> None:
    await fill(3)
    content = await read_all(store, BOX, blob(2))
    await replace(store, 2, content.replace(b'"user_id":', b'"user_id": '))
    assert found(await log.verify("acme")) == (False, 2)


async def test_an_edit_in_place(log: AuditLog, root: Path, fill: Fill) -> None:
    await fill(3)
    path = root / BOX / blob(2)
    path.write_bytes(path.read_bytes().replace(b"jane", b"joe!"))
    assert found(await log.verify("acme")) == (False, 2)
    path.write_bytes(b"")
    assert found(await log.verify("acme")) == (False, 2)


async def test_a_record_sealed_anew_no_longer_fits_the_next(log: AuditLog, store: DirectoryStore, fill: Fill) -> None:
    records = await fill(4)
    forged = seal(msgspec.structs.replace(records[1], user_id="joe"))
    await replace(store, 2, msgspec.json.encode(forged, order="sorted"))
    verification = await log.verify("acme")
    assert found(verification) == (False, 3)
    assert verification.reason is not None
    assert "does not follow the record before" in verification.reason


@pytest.mark.parametrize("position", [1, 3])
async def test_a_deletion_is_found(log: AuditLog, store: DirectoryStore, fill: Fill, position: int) -> None:
    await fill(5)
    await store.delete(BOX, blob(position))
    verification = await log.verify("acme")
    assert found(verification) == (False, position)
    assert verification.reason == f"it is missing, though record {position + 1} is there"
    assert verification.records == 4


async def test_a_deletion_that_was_closed_up_is_found(log: AuditLog, store: DirectoryStore, fill: Fill) -> None:
    records = await fill(4)
    for sequence in (2, 3, 4):
        await store.delete(BOX, blob(sequence))
    for record in records[2:]:
        moved = seal(msgspec.structs.replace(record, sequence=record.sequence - 1))
        await store.write(BOX, blob(moved.sequence), msgspec.json.encode(moved, order="sorted"))
    assert found(await log.verify("acme")) == (False, 2)


async def test_a_cut_end_is_found_by_a_head_held_elsewhere(log: AuditLog, store: DirectoryStore, fill: Fill) -> None:
    await fill(3)
    older = await log.head("acme")
    await fill(2)
    newer = await log.head("acme")
    assert older is not None
    assert newer is not None
    assert found(await log.verify("acme", heads=[older, newer])) == (True, None)
    await store.delete(BOX, blob(5))
    assert found(await log.verify("acme")) == (True, None)
    assert found(await log.verify("acme", heads=[older])) == (True, None)
    for witness in (newer, newer.partition(":")[2], newer.partition(":")[2][:12]):
        verification = await log.verify("acme", heads=[older, witness])
        assert found(verification) == (False, 5)
        assert verification.reason is not None
        assert "noted elsewhere" in verification.reason


async def test_a_head_that_a_person_gives_may_be_mistyped(log: AuditLog, fill: Fill) -> None:
    records = await fill(2)
    good = records[1].hash
    assert found(await log.verify("acme", given=[good, f"1:{records[0].hash}"])) == (True, None)
    for head, why, otherwise in (
        (f"1:{good}", f"record 1 has the hash {records[0].hash[:12]}", "the record was forged"),
        (f"9:{good}", "it ends at 2", "the end was cut off, or all was forged"),
        (f"0:{good}", "it ends at 2", "the end was cut off, or all was forged"),
        (good[::-1], "it ends at 2", "the end was cut off, or all was forged"),
    ):
        verification = await log.verify("acme", given=[head])
        assert found(verification) == (False, None)
        assert verification.reason == (
            f"the head given, {head[:40]}, is not in it ({why}): it may be mistyped; if it is not, {otherwise}"
        )


async def test_an_emptied_chain_is_found_by_a_head(log: AuditLog, store: DirectoryStore, fill: Fill) -> None:
    await fill(1)
    head = await log.head("acme")
    assert head is not None
    await store.delete(BOX, blob(1))
    assert found(await log.verify("acme", heads=[head])) == (False, 1)


async def test_a_chain_forged_anew_is_found_by_a_head(store: DirectoryStore, log: AuditLog, fill: Fill) -> None:
    records = await fill(3)
    head = await log.head("acme")
    assert head is not None
    forged = seal(msgspec.structs.replace(records[2], user_id="joe"))
    await replace(store, 3, msgspec.json.encode(forged, order="sorted"))
    assert found(await log.verify("acme")) == (True, None)
    assert found(await log.verify("acme", heads=[head])) == (False, 3)


async def test_a_prefix_of_a_hash_is_enough_for_a_head(log: AuditLog, fill: Fill) -> None:
    records = await fill(2)
    for witness in (f"1:{records[0].hash[:8]}", records[0].hash[:8], records[1].hash):
        assert found(await log.verify("acme", heads=[witness])) == (True, None)


@pytest.mark.parametrize("head", ["", "1", "x:abcdef12", "1:", "1:abc", "-1:abcdef12", "abcdefg1", "1:" + "a" * 65])
async def test_a_head_that_is_none(log: AuditLog, head: str) -> None:
    with pytest.raises(InvalidInput, match="is not valid"):
        await log.verify("acme", heads=[head])


@pytest.mark.parametrize("name", ["x", "0", "000000000000", "0000000000001", "1", "000000000001/x", "00000000000²"])
async def test_a_foreign_blob_is_told(log: AuditLog, store: DirectoryStore, name: str) -> None:
    await store.write(BOX, name, b"")
    verification = await log.verify("acme")
    assert found(verification) == (False, None)
    assert verification.reason is not None
    assert repr(name) in verification.reason


async def test_a_foreign_file_is_told(log: AuditLog, root: Path, fill: Fill) -> None:
    await fill(1)
    (root / BOX / "copied").write_bytes(b"")
    verification = await log.verify("acme")
    assert found(verification) == (False, None)


async def test_a_gap_filled_by_the_next_writer_is_still_found(store: DirectoryStore, log: AuditLog, fill: Fill) -> None:
    await fill(6)
    await store.delete(BOX, blob(3))
    fresh = AuditLog(store)
    await fresh.record(tenant_id="acme", user_id="joe", operation="x", phase="intent", request_id="r")
    verification = await log.verify("acme")
    assert verification.holds is False
    assert verification.first_bad in {3, 4}
