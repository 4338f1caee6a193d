"""One tenant's records as blobs: each has the next number and names the hash before it.

A number is taken by writing its blob once, so writers agree on the order. What a record says is not decided here.
"""

import asyncio

import msgspec
from msgspec import Struct

from livecalc.blobs.port import BlobStore, read_all
from livecalc.domain.audit import GENESIS, AuditRecord, canonical, seal
from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import AlreadyExists, Damaged, NotFound
from livecalc.domain.tenants import tenant_key


class Head(Struct, frozen=True):
    """The end of a chain; of an empty one number 0 and the genesis hash."""

    sequence: int = 0
    hash: str = GENESIS
    timestamp: str = ""


class Chain:
    """The chain of one tenant, and where this process last saw its end."""

    def __init__(self, blobs: BlobStore, tenant_id: str) -> None:
        self._blobs = blobs
        self.tenant_id = tenant_id
        self.container = audit_container(tenant_key(tenant_id))
        self._seen = Head()
        self._begun = False
        """Whether the store was asked once what lies beyond a gap: a deleted record's number is not taken again."""
        self._turn = asyncio.Lock()

    async def append(self, record: AuditRecord, *, unless_like_since: str | None = None) -> AuditRecord:
        """Number, seal and store a record; with `unless_like_since` return one like it from that time on instead.

        Its time is never before that of the record before it, so that a look back may stop at the first older one.
        Raises Unavailable, and Damaged when the record before cannot be read.
        """
        async with self._turn:
            if not self._begun:
                await self.head()
            checked = 0
            while True:
                if unless_like_since is not None:
                    head = await self.head()
                    like = await self._find_like(record, head.sequence, checked, unless_like_since)
                    if like is not None:
                        return like
                    checked = head.sequence
                placed = _place(record, self._seen)
                if await self._store(placed):
                    return placed

    async def _store(self, placed: AuditRecord) -> bool:
        """Take the record's number; False, and at the chain's end again, when another writer has it."""
        try:
            await self._blobs.write(self.container, blob_name(placed.sequence), encode(placed))
        except AlreadyExists:
            taken = await self.read(placed.sequence)
            self._seen = _head(taken)
            if taken == placed:  # our own, from a try whose answer was lost
                return True
            await self.head()
            return False
        self._seen = _head(placed)
        return True

    async def head(self) -> Head:
        """Find the end. Raises as `read`."""
        end = await (self._end() if self._begun else self.last())
        if end > self._seen.sequence:
            head = _head(await self.read(end))
            if end > self._seen.sequence:  # an append may have seen more meanwhile
                self._seen = head
        self._begun = True
        return self._seen

    async def _end(self) -> int:
        """The last number in sequence: onwards from where it was last seen in steps that double, then halve."""
        low, step = self._seen.sequence, 1
        while await self._exists(low + step):
            low += step
            step *= 2
        while step > 1:
            step //= 2
            if await self._exists(low + step):
                low += step
        return low

    async def last(self) -> int:
        """The largest number there is; beyond the head when a record between was deleted."""
        last = await self._end()
        async for info in self._blobs.list_blobs(self.container, after=blob_name(last)):
            if info.name.isdecimal() and info.name == blob_name(int(info.name)):
                last = int(info.name)
        return last

    async def read(self, sequence: int) -> AuditRecord:
        """Read a record. Raises NotFound, Unavailable, and Damaged when it is no record."""
        return decode(sequence, await read_all(self._blobs, self.container, blob_name(sequence)))

    async def _exists(self, sequence: int) -> bool:
        try:
            await self._blobs.stat(self.container, blob_name(sequence))
        except NotFound:
            return False
        except Damaged:
            return True  # its number is taken, whatever became of it
        return True

    async def _find_like(self, record: AuditRecord, start: int, end: int, since: str) -> AuditRecord | None:
        """Look back from number `start` to the one after `end`, or to the first record older than `since`."""
        for sequence in range(start, end, -1):
            try:
                found = await self.read(sequence)
            except NotFound:
                continue  # deleted by someone; `verify` tells, and the operation at hand can still be audited
            if found.timestamp < since:
                return None
            if _essence(found) == _essence(record):
                return found
        return None


def audit_container(key: str) -> str:
    """The container of the chain of the tenant with a key."""
    return f"audit-{key}"


def blob_name(sequence: int) -> str:
    """Name the blob of a record."""
    return f"{sequence:012}"


def encode(record: AuditRecord) -> bytes:
    """Write a record; there is one way, so that any other bytes are an edit."""
    return canonical(record)


def decode(sequence: int, content: bytes) -> AuditRecord:
    """Read what `encode` wrote. Raises Damaged."""
    try:
        record = decode_json(content, AuditRecord)
    except msgspec.DecodeError as error:
        raise Damaged(f"audit record {sequence} cannot be read ({error}): see `livecalc audit verify`") from error
    if encode(record) != content:
        raise Damaged(f"audit record {sequence} is not as it was written: see `livecalc audit verify`")
    return record


def _head(record: AuditRecord) -> Head:
    return Head(record.sequence, record.hash, record.timestamp)


def _place(record: AuditRecord, head: Head) -> AuditRecord:
    timestamp = max(record.timestamp, head.timestamp)
    return seal(msgspec.structs.replace(record, sequence=head.sequence + 1, previous=head.hash, timestamp=timestamp))


def _essence(record: AuditRecord) -> tuple[str | None, ...]:
    return record.request_id, record.operation, record.phase, record.namespace, record.bucket_id
