"""Bodies of `/v1/platform/diagnostics` and `/v1/platform/audit`."""

from typing import Any

from msgspec import Struct


class Archive(Struct, frozen=True, kw_only=True):
    """One archive of a bucket, in a list."""

    bucket_id: str
    timestamp: str
    state: str
    """`Complete`, `PartiallyComplete`, `Waived`."""
    blobs: int
    """Without the manifest, which lists them."""
    bytes: int
    violations: int
    reaped_at: str
    reaped_by: str
    retain_until: str


class ArchiveVerification(Struct, frozen=True, kw_only=True):
    """Every blob against the manifest."""

    archive: str
    holds: bool
    blobs: int
    bytes: int
    differences: list[str]


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
