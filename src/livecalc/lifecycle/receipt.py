"""Prove an archive by reading it back: what the store holds against what the manifest says."""

import hashlib
from datetime import datetime

from livecalc.blobs.port import BlobInfo, BlobStore
from livecalc.domain.errors import Damaged, NotFound
from livecalc.domain.receipts import ArchiveReceipt
from livecalc.lifecycle.bounded import map_bounded
from livecalc.lifecycle.manifest import BlobEntry, Manifest
from livecalc.lifecycle.places import MANIFEST, Place

_AT_ONCE = 8


async def make_receipt(blobs: BlobStore, place: Place, manifest: Manifest, raw: bytes, now: datetime) -> ArchiveReceipt:
    """Make the receipt of an archive whose every blob is stored with the size and digest that the manifest gives.

    Raises Damaged, which names the first blob that is not; Unavailable.
    """

    async def differs(entry: BlobEntry) -> str | None:
        return await difference(blobs, place, entry, whole=False)

    digest = hashlib.sha256(raw).hexdigest()
    entries = [*manifest.blobs, BlobEntry(name=MANIFEST, bytes=len(raw), sha256=digest)]
    for found in await map_bounded(differs, entries, at_once=_AT_ONCE):
        if found is not None:
            raise Damaged(f"archive {place.folder.rstrip('/')} is not what its manifest says: {found}")
    return ArchiveReceipt(
        namespace_uid=manifest.namespace_uid,
        container=place.container,
        path=place.folder.rstrip("/"),
        manifest_sha256=digest,
        blobs=len(entries),
        bytes=sum(entry.bytes for entry in entries),
        pods=frozenset(pod.uid for pod in manifest.pods),
        verified_at=now,
    )


async def difference(blobs: BlobStore, place: Place, entry: BlobEntry, *, whole: bool) -> str | None:
    """Say in what a stored blob differs from its entry; None when it does not. `whole` reads all its bytes."""
    try:
        stored = await blobs.stat(place.container, place.blob(entry.name))
        if stored.size != entry.bytes:
            return f"{entry.name} has {stored.size:,} bytes instead of {entry.bytes:,}"
        found = await _digest(blobs, place, stored, whole=whole)
    except NotFound:
        return f"{entry.name} is missing"
    except Damaged as error:
        return f"{entry.name} is damaged: {error.detail}"
    return None if found == entry.sha256 else f"{entry.name} has digest {found[:12]} instead of {entry.sha256[:12]}"


async def _digest(blobs: BlobStore, place: Place, stored: BlobInfo, *, whole: bool) -> str:
    if stored.sha256 and not whole:
        return stored.sha256
    digest = hashlib.sha256()
    async for chunk in blobs.read(place.container, stored.name):
        digest.update(chunk)
    return digest.hexdigest()
