"""Prove an archive by reading it back: what the store holds against what the manifest says."""

import hashlib
from datetime import datetime

from livecalc.blobs.port import BlobInfo, BlobStore
from livecalc.domain.errors import Damaged, NotFound
from livecalc.domain.receipts import ArchiveReceipt
from livecalc.domain.timestamps import format_timestamp
from livecalc.lifecycle.archive.manifest import BlobEntry, Manifest
from livecalc.lifecycle.archive.places import MANIFEST, Place
from livecalc.records.bounded import map_bounded

_AT_ONCE = 8


async def make_receipt(  # noqa: PLR0913  (what is proved, and by what)
    blobs: BlobStore,
    place: Place,
    manifest: Manifest,
    raw: bytes,
    now: datetime,
    *,
    locked_until: datetime | None = None,
) -> ArchiveReceipt:
    """Make the receipt of an archive whose every blob is stored with the size and digest that the manifest gives.

    With `locked_until`, the store must also show that it lets nobody delete one before then. Raises Damaged, which
    names the first blob of which this is not true; Unavailable.
    """
    stored = await list_stored(blobs, place)

    async def differs(entry: BlobEntry) -> str | None:
        info = stored.get(entry.name)
        if info is not None and locked_until is not None and not _is_locked(info, locked_until):
            return f"{entry.name} is not locked until {format_timestamp(locked_until)}"
        if info is None or not info.sha256:
            return await difference(blobs, place, entry)
        return _compared(entry, info, info.sha256)

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


async def difference(blobs: BlobStore, place: Place, entry: BlobEntry) -> str | None:
    """Read all bytes of a stored blob, and say in what it differs from its entry; None when it does not."""
    digest = hashlib.sha256()
    try:
        stored = await blobs.stat(place.container, place.blob(entry.name))
        if stored.size == entry.bytes:
            async for chunk in blobs.read(place.container, stored.name):
                digest.update(chunk)
    except NotFound:
        return f"{entry.name} is missing"
    except Damaged as error:
        return f"{entry.name} is damaged: {error.detail}"
    return _compared(entry, stored, digest.hexdigest())


async def list_stored(blobs: BlobStore, place: Place) -> dict[str, BlobInfo]:
    """List what an archive's folder holds, by names relative to it."""
    listing = blobs.list_blobs(place.container, place.folder)
    return {info.name.removeprefix(place.folder): info async for info in listing}


def _is_locked(info: BlobInfo, until: datetime) -> bool:
    return info.locked_until is not None and info.locked_until >= until


def _compared(entry: BlobEntry, stored: BlobInfo, sha256: str) -> str | None:
    if stored.size != entry.bytes:
        return f"{entry.name} has {stored.size:,} bytes instead of {entry.bytes:,}"
    return None if sha256 == entry.sha256 else f"{entry.name} has digest {sha256[:12]} instead of {entry.sha256[:12]}"
