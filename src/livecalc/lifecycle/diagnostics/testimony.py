"""What a tenant's audit chain says of his archives: which were made, with which manifest, and which were deleted.

It is read whole, and every record checked: what stands before the first bad record can be believed.
"""

from collections.abc import Collection

from msgspec import Struct, field

from livecalc.audit.log import AuditLog
from livecalc.domain.audit import AuditRecord
from livecalc.lifecycle.archive.places import first_path, path_order
from livecalc.lifecycle.journal import REAP, RETENTION_DELETE

NO_RECORD = "the audit chain has no record: it is missing"
"""A flaw only where there is an archive: a tenant of whom there is nothing has no chain either."""


class Made(Struct, frozen=True, kw_only=True):
    """The outcome of the reap that made an archive."""

    sequence: int
    manifest_sha256: str | None


class Testimony(Struct, kw_only=True):
    """The chain as far as it is good; archives by `{bucket_id}/{timestamp}`."""

    flaw: str | None = None
    """Why it is not good, or not beyond some record."""
    broken_at: int | None = None
    """The first record that is not good: what it and the later ones say is not known."""
    hashes: list[str] = field(default_factory=list[str])
    """Of record 1, 2, ..."""
    made: dict[str, Made] = field(default_factory=dict[str, Made])
    deleted: set[str] = field(default_factory=set[str])
    """By retention: it said so at the end, or has not ended yet, because it goes on where it was stopped."""
    tried: dict[str, str] = field(default_factory=dict[str, str])
    """What retention tried to delete last, and why that did not succeed."""
    begun: dict[tuple[str, str | None], str] = field(default_factory=dict[tuple[str, str | None], str])
    """The archives of reaps without an outcome, as they were called at first, by request and namespace."""

    def is_being_made(self, path: str) -> bool:
        """Tell whether a reap that has no outcome yet may be writing there, perhaps under a later number."""
        return any(first_path(each) == first_path(path) for each in self.begun.values())

    def gone(self, bucket_id: str, there: Collection[str]) -> list[str]:
        """Tell which archives of a bucket were made, are not `there`, and no retention deleted, the newest last."""
        made = self.made.keys() - self.deleted - set(there)
        return sorted((path for path in made if path.startswith(f"{bucket_id}/")), key=path_order)

    def head_difference(self, head: str) -> str | None:
        """Say in what the chain differs from a head, `{sequence}:{hash}`, that it once had; None when it does not."""
        number, _, digest = head.partition(":")
        if not number.isdecimal() or not 1 <= int(number) <= len(self.hashes):
            if self.flaw is not None:
                return None  # it ends too early to tell, which is said already
            return f"its audit head {head[:20]} is not in the audit chain, which has {len(self.hashes)} records"
        if self.hashes[int(number) - 1] != digest:
            return f"its audit head {head[:20]} is not what the audit chain has as record {number}"
        return None

    def note(self, record: AuditRecord) -> None:
        """Hear the next record."""
        self.hashes.append(record.hash)
        archive = record.detail.get("archive")
        if record.operation == REAP:
            self._note_reap(record, archive if isinstance(archive, str) else None)
        elif record.operation == RETENTION_DELETE and isinstance(archive, str):
            self._note_deletion(record, archive)

    def _note_reap(self, record: AuditRecord, archive: str | None) -> None:
        reaping = record.request_id, record.namespace
        if record.phase == "outcome":
            self.begun.pop(reaping, None)
        if archive is None:
            return
        if record.phase == "intent":
            self.begun[reaping] = archive
            return
        digest = record.detail.get("manifest_sha256")
        made = Made(sequence=record.sequence, manifest_sha256=digest if isinstance(digest, str) else None)
        # The first is the one that later records vouch for.
        self.made.setdefault(archive, made)

    def _note_deletion(self, record: AuditRecord, archive: str) -> None:
        if record.phase == "intent" or record.result == "ok":
            self.deleted.add(archive)
            self.tried.pop(archive, None)
        else:
            self.deleted.discard(archive)
            self.tried[archive] = f"audit record {record.sequence}: {record.result}"


async def hear(audit: AuditLog, tenant_id: str) -> Testimony:
    """Read a tenant's chain. Raises Unavailable."""
    testimony = Testimony()
    found = await audit.verify(tenant_id, seen=testimony.note)
    if not found.holds:
        where = "the audit chain" if found.first_bad is None else f"the audit chain from record {found.first_bad} on"
        testimony.flaw = f"{where} does not hold: {found.reason}"
        testimony.broken_at = found.first_bad
    elif not found.records:
        testimony.flaw = NO_RECORD
    return testimony
