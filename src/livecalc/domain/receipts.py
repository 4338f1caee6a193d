"""What deleting a namespace takes as an argument: proof that its archive is stored, or a decision to go without."""

from datetime import datetime

from msgspec import Struct


class ArchiveReceipt(Struct, frozen=True, kw_only=True):
    """Proof that an archive is complete and stored; made by reading the stored blobs back."""

    namespace_uid: str
    container: str
    path: str
    """`{bucket_id}/{timestamp}`, relative to the container."""
    manifest_sha256: str
    blobs: int
    bytes: int
    pods: frozenset[str]
    """The uids of the pods that the manifest accounts for."""
    verified_at: datetime


class ArchiveWaiver(Struct, frozen=True, kw_only=True):
    """A decision to delete without a complete archive; audited before it is used."""

    namespace_uid: str
    reason: str
    pods: frozenset[str] | None = None
    """The uids of the pods it covers; None covers whatever is there."""
