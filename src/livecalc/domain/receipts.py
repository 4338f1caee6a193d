"""What deleting a namespace takes as an argument: proof that its archive is stored, or a decision to go without."""

from datetime import datetime

from msgspec import Struct


class ArchiveReceipt(Struct, frozen=True, kw_only=True):
    """Proof that an archive is stored as its manifest says; made from what the store tells, never from memory.

    Where an archive is required (the policy, or regulatory retention), every blob was read back whole, and its bytes
    have the size and the digest that the manifest names.

    Under best-effort, the manifest was read back whole; the store lists every blob that it names, with the size that
    it names, and with the digest that was stored with the blob, in one request. Each request that brought bytes had a
    checksum of them (Content-MD5 on Azure), by which the store refuses others. A blob that is listed without a digest
    was read whole. That each byte can be read is what `livecalc diagnostics verify` shows.
    """

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
