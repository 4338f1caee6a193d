"""Archive a namespace: logs, violations, events and pods, and last the manifest. Can be continued by anyone.

What is stored already counts as done. When a stored blob does not fit, the archive goes on under the next path.
"""

from msgspec import Struct

from livecalc.blobs.port import BlobInfo, BlobStore
from livecalc.cluster.port import Cluster
from livecalc.domain.errors import AlreadyExists, Conflict, NotFound
from livecalc.domain.namespaces import REAP_ARCHIVE
from livecalc.domain.receipts import ArchiveReceipt
from livecalc.lifecycle.collection import Collected, Collection
from livecalc.lifecycle.compose import Told, compose
from livecalc.lifecycle.hold import Hold
from livecalc.lifecycle.logs import LogKeeper
from livecalc.lifecycle.manifest import Manifest, encode, read_manifest
from livecalc.lifecycle.places import MANIFEST, OWNER, Place, archive_place, next_path
from livecalc.lifecycle.receipt import make_receipt
from livecalc.records.book import JobBook

_PATHS = 20
"""How many paths one reaping tries."""


class Archived(Struct, frozen=True, kw_only=True):
    """A finished archive; without a receipt when it was waived."""

    place: Place
    manifest: Manifest
    receipt: ArchiveReceipt | None


class Archiver:
    """Archives namespaces under claims that we hold."""

    def __init__(self, *, cluster: Cluster, blobs: BlobStore, book: JobBook, prefix: str, logs_at_once: int) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._book = book
        self._prefix = prefix
        self._logs_at_once = logs_at_once

    async def archive(self, hold: Hold, told: Told, *, strict: bool) -> Archived:
        """Archive the namespace, or continue to, and prove it by reading the stored blobs back.

        A manifest that is there already is believed, and proved like any other. `strict` gives up rather than leave
        out a log whose node does not answer. Raises Unavailable, Damaged, Conflict.
        """
        for _ in range(_PATHS):
            place = archive_place(self._prefix, hold.record, hold.claim.archive)
            stored = await list_stored(self._blobs, place)
            if all(info.metadata.get(OWNER) == hold.record.uid for info in stored.values()):
                if MANIFEST not in stored:
                    await self._fill(hold, place, stored, told, strict=strict)
                if MANIFEST in stored or await self._is_written(place):
                    return await self._prove(place)
            await self.move(hold)
        raise Conflict(f"the archive of namespace {hold.record.name} found no free path after {hold.claim.archive}")

    async def move(self, hold: Hold) -> None:
        """Let the claim's archive go on under another path; what is stored under the old one stays there."""
        await hold.patch(annotations={REAP_ARCHIVE: next_path(hold.claim.archive)})

    async def waive(self, hold: Hold, told: Told) -> Archived:
        """Write the manifest of an archive that could not be made whole: it says so, and lists what is there."""
        place = archive_place(self._prefix, hold.record, hold.claim.archive)
        stored = await list_stored(self._blobs, place)
        if any(info.metadata.get(OWNER) != hold.record.uid for info in stored.values()):
            raise Conflict(f"archive {hold.claim.archive} is of another namespace")
        if MANIFEST not in stored:
            nothing = Collected(pods=[], violations=0)
            now = await self._cluster.now()
            await self._write(hold, place, compose(hold, now, nothing, stored, told, waived=True))
        manifest, _ = await read_manifest(self._blobs, place)
        return Archived(place=place, manifest=manifest, receipt=None)

    async def _fill(self, hold: Hold, place: Place, stored: dict[str, BlobInfo], told: Told, *, strict: bool) -> None:
        record = hold.record
        keeper = LogKeeper(
            cluster=self._cluster,
            blobs=self._blobs,
            book=self._book,
            place=place,
            tenant_key=record.tenant_key,
            uid=record.uid,
            strict=strict,
        )
        collection = Collection(
            cluster=self._cluster,
            blobs=self._blobs,
            book=self._book,
            keeper=keeper,
            place=place,
            record=record,
            stored=stored,
        )
        collected = await collection.collect(at_once=self._logs_at_once)
        if collected is None:
            return
        listed = await list_stored(self._blobs, place)
        await self._write(hold, place, compose(hold, await self._cluster.now(), collected, listed, told))

    async def _write(self, hold: Hold, place: Place, manifest: Manifest) -> None:
        about = {OWNER: hold.record.uid}
        try:
            await self._blobs.write(place.container, place.blob(MANIFEST), encode(manifest), metadata=about)
        except AlreadyExists:
            return

    async def _is_written(self, place: Place) -> bool:
        try:
            await self._blobs.stat(place.container, place.blob(MANIFEST))
        except NotFound:
            return False
        return True

    async def _prove(self, place: Place) -> Archived:
        manifest, raw = await read_manifest(self._blobs, place)
        if manifest.state == "Waived":
            return Archived(place=place, manifest=manifest, receipt=None)
        receipt = await make_receipt(self._blobs, place, manifest, raw, await self._cluster.now())
        return Archived(place=place, manifest=manifest, receipt=receipt)


async def list_stored(blobs: BlobStore, place: Place) -> dict[str, BlobInfo]:
    """List what an archive's folder holds, by names relative to it."""
    listing = blobs.list_blobs(place.container, place.folder)
    return {info.name.removeprefix(place.folder): info async for info in listing}
