"""Prove an archive: what is stored, and the manifest that was read back, against each other.

Where an archive is required, every byte is read back. Where it is not, the sizes and digests that the store lists are
compared: reading would cost about as much as storing did. `ArchiveReceipt` says what each proves.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from livecalc.blobs.port import BlobInfo, BlobStore
from livecalc.blobs.streams import closing
from livecalc.domain.errors import Damaged, NotFound, Unavailable
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
    read_back: bool = False,
) -> ArchiveReceipt:
    """Make the receipt of an archive whose every blob is stored with the size and digest that the manifest gives.

    With `read_back` the digest is that of the bytes, else the one that the store has. With `locked_until`, the store
    must also show that it lets nobody delete a blob before then. Raises Damaged, which names the first that is not
    stored so, and Unavailable, also for one that the store does not protect.
    """
    stored = await list_stored(blobs, place)

    async def differs(entry: BlobEntry) -> str | None:
        info = stored.get(entry.name)
        if info is None or not info.sha256 or (read_back and entry.name != MANIFEST):
            return await difference(blobs, place, entry)
        return _compared(entry, info, info.sha256)

    digest = hashlib.sha256(raw).hexdigest()
    entries = [*manifest.blobs, BlobEntry(name=MANIFEST, bytes=len(raw), sha256=digest)]
    for found in await map_bounded(differs, entries, at_once=_AT_ONCE):
        if found is not None:
            raise Damaged(f"archive {place.folder.rstrip('/')} is not what its manifest says: {found}")
    if locked_until is not None:
        _see_locked(place, {entry.name: stored.get(entry.name) for entry in entries}, locked_until)
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
    digest = ""
    try:
        stored = await blobs.stat(place.container, place.blob(entry.name))
        if stored.size == entry.bytes:
            digest = await digest_of(blobs, place.container, stored.name)
    except NotFound:
        return f"{entry.name} is missing"
    except Damaged as error:
        return f"{entry.name} is damaged: {error.detail}"
    return _compared(entry, stored, digest)


async def digest_of(blobs: BlobStore, container: str, name: str, *, offset: int = 0) -> str:
    """Digest a stored blob, or what it has from `offset` on, by reading it. Raises NotFound, Damaged."""
    digest = hashlib.sha256()
    async with closing(blobs.read(container, name, offset=offset)) as chunks:
        async for chunk in chunks:
            digest.update(chunk)
    return digest.hexdigest()


async def list_stored(blobs: BlobStore, place: Place) -> dict[str, BlobInfo]:
    """List what an archive's folder holds, by names relative to it."""
    listing = blobs.list_blobs(place.container, place.folder)
    return {info.name.removeprefix(place.folder): info async for info in listing}


def _see_locked(place: Place, stored: Mapping[str, BlobInfo | None], until: datetime) -> None:
    for name, info in stored.items():
        if info is None or info.locked_until is None or info.locked_until < until:
            why = f"{name} is not locked until {format_timestamp(until)}"
            raise Unavailable(f"archive {place.folder.rstrip('/')} is not protected by its store: {why}")


def _compared(entry: BlobEntry, stored: BlobInfo, sha256: str) -> str | None:
    if stored.size != entry.bytes:
        return f"{entry.name} has {stored.size:,} bytes instead of {entry.bytes:,}"
    return None if sha256 == entry.sha256 else f"{entry.name} has digest {sha256[:12]} instead of {entry.sha256[:12]}"
