"""Finding what was changed in a chain: edits and deletions anywhere, and truncation back to a head held elsewhere."""

import asyncio
import re
from collections.abc import Callable, Sequence

from msgspec import Struct

from livecalc.audit.chain import Chain, Head, blob_name, decode
from livecalc.blobs.port import BlobStore, read_all
from livecalc.domain.audit import AuditRecord, seal
from livecalc.domain.errors import Damaged, InvalidInput, NotFound
from livecalc.wire.diagnostics import AuditVerification

_AHEAD = 16
"""How many records are read at once: on a store in a network each takes a while."""
_HEAD = re.compile(r"(?:(\d{1,12}):)?([0-9a-f]{8,64})", re.ASCII)


class _Witness(Struct, frozen=True):
    """A head held elsewhere; of the hash at least its first 8 digits, the number when it is known."""

    text: str
    sequence: int | None
    hash: str


class _Flaw(Exception):
    def __init__(self, sequence: int | None, reason: str) -> None:
        super().__init__(reason)
        self.sequence = sequence
        self.reason = reason


async def check_chain(
    blobs: BlobStore,
    chain: Chain,
    heads: Sequence[str],
    *,
    given: Sequence[str] = (),
    seen: Callable[[AuditRecord], None] = lambda _: None,
) -> AuditVerification:
    """Walk from the first record to the last, and name the first bad one and why.

    `heads` are `{sequence}:{hash}`, or hashes alone (at least 8 digits), that the chain must contain; those `given` by
    a person too, who may have mistyped one. `seen` is told each good record, up to the first that is not.
    Raises InvalidInput for a head that is neither, Unavailable.
    """
    witnesses = [_parse(text) for text in heads]
    typed = [_parse(text) for text in given]
    numbers: set[int] = set()
    hashes: list[str] = []
    try:
        foreign = await _list(blobs, chain, numbers)
        await _walk(blobs, chain, numbers, hashes, seen)
        for witness in witnesses:
            _compare(witness, hashes)
        for witness in typed:
            _compare_typed(witness, hashes)
    except _Flaw as flaw:
        return _verification(numbers, hashes, flaw.sequence, flaw.reason)
    if foreign:
        return _verification(numbers, hashes, None, f"blob {foreign[0]!r} lies among the records and is none")
    return _verification(numbers, hashes, None, None)


def _verification(numbers: set[int], hashes: list[str], first_bad: int | None, reason: str | None) -> AuditVerification:
    return AuditVerification(
        holds=reason is None,
        records=len(numbers),
        head=hashes[-1] if hashes else None,
        first_bad=first_bad,
        reason=reason,
    )


def _parse(text: str) -> _Witness:
    match = _HEAD.fullmatch(text)
    if match is None:
        raise InvalidInput(f"head {text[:80]!r} is not valid: give NUMBER:HASH, or at least 8 digits of a hash")
    sequence, digest = match.groups()
    return _Witness(text, None if sequence is None else int(sequence), digest)


async def _list(blobs: BlobStore, chain: Chain, numbers: set[int]) -> list[str]:
    """Collect the numbers that are there, and return the names that are none."""
    foreign: list[str] = []
    try:
        async for info in blobs.list_blobs(chain.container):
            if info.name.isdecimal() and info.name == blob_name(int(info.name)) and int(info.name):
                numbers.add(int(info.name))
            else:
                foreign.append(info.name)
    except Damaged as error:
        raise _Flaw(None, error.detail) from error
    return foreign


async def _walk(
    blobs: BlobStore, chain: Chain, numbers: set[int], hashes: list[str], seen: Callable[[AuditRecord], None]
) -> None:
    head = Head()
    last = max(numbers, default=0)
    for first in range(1, last + 1, _AHEAD):
        sequences = range(first, min(first + _AHEAD, last + 1))
        found = await _read(blobs, chain, [sequence for sequence in sequences if sequence in numbers])
        for sequence in sequences:
            if sequence not in numbers:
                following = min(number for number in numbers if number > sequence)
                raise _Flaw(sequence, f"it is missing, though record {following} is there")
            record = _check(found[sequence], chain, head)
            head = Head(sequence, record.hash)
            hashes.append(head.hash)
            seen(record)


async def _read(blobs: BlobStore, chain: Chain, sequences: list[int]) -> dict[int, AuditRecord | _Flaw]:
    """Read records at once; what is wrong with one is said when it is reached."""

    async def one(sequence: int) -> AuditRecord | _Flaw:
        try:
            return decode(sequence, await read_all(blobs, chain.container, blob_name(sequence)))
        except NotFound:
            return _Flaw(sequence, "it was deleted while the chain was read")
        except Damaged as error:
            return _Flaw(sequence, error.detail)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = {sequence: group.create_task(one(sequence)) for sequence in sequences}
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors.exceptions[0].__cause__
    return {sequence: task.result() for sequence, task in tasks.items()}


def _check(record: AuditRecord | _Flaw, chain: Chain, before: Head) -> AuditRecord:
    sequence = before.sequence + 1
    if isinstance(record, _Flaw):
        raise record
    if record.sequence != sequence:
        raise _Flaw(sequence, f"it says that it is record {record.sequence}")
    if record.tenant_id != chain.tenant_id:
        raise _Flaw(sequence, "it is of another tenant")
    if record.previous != before.hash:
        raise _Flaw(sequence, "it does not follow the record before: that one, or this one, is not the original")
    if seal(record).hash != record.hash:
        raise _Flaw(sequence, "its content was changed: it does not have its own hash")
    return record


def _compare_typed(witness: _Witness, hashes: list[str]) -> None:
    try:
        _compare(witness, hashes)
    except _Flaw as flaw:
        number = witness.sequence or 0
        known = 1 <= number <= len(hashes)
        why = f"record {number} has the hash {hashes[number - 1][:12]}" if known else f"it ends at {len(hashes)}"
        reason = (
            f"the head given, {witness.text[:40]}, is not in it ({why}): it may be mistyped; "
            f"if it is not, {'the record was forged' if known else 'the end was cut off, or all was forged'}"
        )
        raise _Flaw(None, reason) from flaw


def _compare(witness: _Witness, hashes: list[str]) -> None:
    if witness.sequence is None:
        if not any(known.startswith(witness.hash) for known in hashes):
            reason = (
                f"no record has the hash {witness.hash[:12]} noted elsewhere: the end was cut off, or all was forged"
            )
            raise _Flaw(len(hashes) + 1, reason)
        return
    if witness.sequence > len(hashes):
        reason = f"it is missing: record {witness.sequence} was noted elsewhere, but the chain ends at {len(hashes)}"
        raise _Flaw(len(hashes) + 1, reason)
    if witness.sequence < 1 or not hashes[witness.sequence - 1].startswith(witness.hash):
        raise _Flaw(witness.sequence, f"its hash is not {witness.hash[:12]}, which was noted elsewhere: it was forged")
