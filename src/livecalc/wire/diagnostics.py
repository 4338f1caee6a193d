"""Bodies of `/v1/platform/diagnostics` and `/v1/platform/audit`."""

from typing import Any

from msgspec import Struct

LATEST = "latest"
"""Instead of a timestamp, where an archive is verified: the bucket's newest."""


class Archive(Struct, frozen=True, kw_only=True):
    """One archive of a bucket, in a list."""

    bucket_id: str
    timestamp: str
    state: str
    """`Complete`, `PartiallyComplete`, `Waived`."""
    blobs: int
    """That the manifest lists; the manifest itself is not counted."""
    bytes: int
    """Of these."""
    violations: int
    reaped_at: str
    reaped_by: str
    retain_until: str


class ArchiveVerification(Struct, frozen=True, kw_only=True):
    """Every blob against the manifest, and the manifest against its schema and the audit chain."""

    archive: str
    """`{bucket_id}/{timestamp}`; `*` for what belongs to no archive, when all are verified."""
    holds: bool
    blobs: int
    """That the manifest lists; the manifest itself is not counted."""
    bytes: int
    """Of these."""
    differences: list[str]
    manifest_sha256: str | None = None
    """Of the manifest as it is stored; null when there is none."""


class SentinelViolation(Struct, frozen=True, kw_only=True):
    """One violation in the index over all archives; one that cannot be read has its text, and nothing else."""

    timestamp: str
    """When it was extracted from its pod."""
    bucket_id: str
    archive: str
    """`{bucket_id}/{timestamp}`."""
    pod: str
    offset: int | None = None
    expected: str | None = None
    """Hex with `0x`."""
    actual: str | None = None
    malformed: str | None = None
    """A part of the pod's annotation that is no violation, as it came."""


class Reindexed(Struct, frozen=True, kw_only=True):
    """The index of violations against the archives: as it was found, and whether it is equal now."""

    equal: bool
    """Whether each archive with violations has its entry, and no other is there: after the repair, if there was one."""
    archives: int
    """All that are there."""
    with_violations: int
    """How many of them have violations."""
    violations: int
    """In these."""
    right: int
    missing: int
    wrong: int
    extra: int
    """Entries as they were found."""
    differences: list[str]
    """What was found, each by its archive."""


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One audit record."""

    sequence: int
    previous: str
    hash: str
    user_id: str
    tenant_id: str
    namespace: str | None
    bucket_id: str | None
    timestamp: str
    operation: str
    phase: str
    result: str | None
    request_id: str
    detail: dict[str, Any]


class AuditVerification(Struct, frozen=True, kw_only=True):
    """A chain, walked from its first record to its head."""

    holds: bool
    records: int
    head: str | None
    first_bad: int | None
    reason: str | None
