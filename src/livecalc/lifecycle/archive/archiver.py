"""Archive a namespace: logs, violations, events and pods, and last the manifest. Can be continued by anyone.

What is stored already counts as done. When a stored blob does not fit, the archive goes on under the next path.
"""

import hashlib
import logging
from contextlib import suppress
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from livecalc.blobs.port import BlobInfo, BlobStore
from livecalc.cluster.port import Cluster, PodRecord
from livecalc.domain.errors import AlreadyExists, Conflict, Damaged, LivecalcError, NotFound, Unavailable
from livecalc.domain.namespaces import REAP_ARCHIVE
from livecalc.domain.receipts import ArchiveReceipt
from livecalc.lifecycle.archive.collection import Collected, Collection
from livecalc.lifecycle.archive.compose import Told, compose
from livecalc.lifecycle.archive.earlier import Earlier, find_earlier
from livecalc.lifecycle.archive.index import ViolationIndex
from livecalc.lifecycle.archive.logs import LogKeeper
from livecalc.lifecycle.archive.manifest import Manifest, encode, read_manifest
from livecalc.lifecycle.archive.places import (
    MANIFEST,
    OWNER,
    Place,
    about,
    archive_place,
    earlier_paths,
    locked_until,
    next_path,
)
from livecalc.lifecycle.archive.receipt import list_stored, make_receipt
from livecalc.lifecycle.archive.stored import account_for
from livecalc.lifecycle.hold import Hold
from livecalc.records.book import JobBook

LOG = logging.getLogger("livecalc.cleanup")
_PATHS = 20
"""How many paths one reaping tries."""
_UNPROVED = 3
"""How many archives of one reaping may fail to be proved: a store that loses what it stored shall not be filled up."""


class Archived(Struct, frozen=True, kw_only=True):
    """A finished archive; without a receipt when it was waived."""

    place: Place
    manifest: Manifest
    manifest_sha256: str
    receipt: ArchiveReceipt | None


class Archiver:
    """Archives namespaces under claims that we hold."""

    def __init__(self, *, cluster: Cluster, blobs: BlobStore, book: JobBook, prefix: str, logs_at_once: int) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._book = book
        self._prefix = prefix
        self._logs_at_once = logs_at_once
        self._index = ViolationIndex(blobs, prefix)

    async def archive(self, hold: Hold, told: Told, *, strict: bool) -> Archived:
        """Archive the namespace, or continue to, and prove it by what the store says of the blobs.

        A manifest that is there already is believed, and proved like any other. What cannot be proved is archived
        anew under the next path, at most `_UNPROVED` paths long. `strict` reads every blob back, gives up rather than
        leave out a log whose node does not answer, and archives anew what an earlier try waived.
        Raises Unavailable, Damaged, Conflict.
        """
        for _ in range(_PATHS):
            path = hold.claim.archive
            try:
                archived = await self._archive_here(hold, told, strict=strict)
            except Damaged as error:
                if hold.record.terminating:
                    raise
                if len(earlier_paths(path)) + 1 >= _UNPROVED:
                    if not strict:
                        raise
                    raise Damaged(f"{error.detail}. {_what_to_do(path)}") from error
                LOG.error("Archiving namespace %s anew: %s", hold.record.name, error.detail)  # noqa: TRY400  (one sentence says it)
                archived = None
            if archived is not None:
                return archived
            await self.move(hold)
        raise Conflict(f"the archive of namespace {hold.record.name} found no free path after {hold.claim.archive}")

    async def _archive_here(self, hold: Hold, told: Told, *, strict: bool) -> Archived | None:
        """Archive under the claim's path; None when another is needed."""
        place = archive_place(self._prefix, hold.record, hold.claim.archive)
        stored = await list_stored(self._blobs, place)
        if _has_anothers(stored, hold):
            return None
        if MANIFEST not in stored and not await self._fill(hold, place, stored, told, strict=strict):
            return None
        archived = await self._prove(hold, place, strict=strict)
        return archived if archived.receipt is not None or not strict or hold.record.terminating else None

    async def move(self, hold: Hold) -> None:
        """Let the claim's archive go on under another path; what is stored under the old one stays there."""
        await hold.patch(annotations={REAP_ARCHIVE: next_path(hold.claim.archive)})

    async def waive(self, hold: Hold, told: Told) -> Archived:
        """Write the manifest of an archive that could not be made whole: it says so, and lists what is there."""
        place, stored = await self._place_of_waiver(hold)
        if MANIFEST not in stored:
            entry = await self._index.entry_of(place)
            pods = account_for(await self._listed(hold, place, stored), stored)
            collected = Collected(pods=pods, violations=len(entry.violations) if entry else 0)
            told = await self._after_earlier(hold, told)
            now = await self._cluster.now()
            await self._write(hold, place, compose(hold, now, collected, stored, told, waived=True))
        manifest, raw = await read_manifest(self._blobs, place)
        await self._index_violations(hold, place, manifest, strict=False)
        return Archived(place=place, manifest=manifest, manifest_sha256=_digest(raw), receipt=None)

    async def _place_of_waiver(self, hold: Hold) -> tuple[Place, dict[str, BlobInfo]]:
        """Find where a waiver goes, and what is there: beside what is stored, but not where a manifest claims more."""
        for _ in range(_PATHS):
            place = archive_place(self._prefix, hold.record, hold.claim.archive)
            stored = await list_stored(self._blobs, place)
            if _has_anothers(stored, hold):
                raise Conflict(f"archive {hold.claim.archive} is of another namespace")
            if MANIFEST not in stored or await self._is_waived(place):
                return place, stored
            await self.move(hold)
        raise Conflict(f"the waiver of namespace {hold.record.name} found no free path after {hold.claim.archive}")

    async def _is_waived(self, place: Place) -> bool:
        try:
            manifest, _ = await read_manifest(self._blobs, place)
        except Damaged:
            return False
        return manifest.state == "Waived"

    async def _listed(self, hold: Hold, place: Place, stored: dict[str, BlobInfo]) -> list[PodRecord]:
        """The pods as far as anybody tells them: the cluster, or who stored them before."""
        earlier = Earlier(self._blobs, place.container, list(stored.values()))
        pods = await earlier.pods()
        with suppress(NotFound, Unavailable):
            pods |= {pod.uid: pod for pod in await self._cluster.list_pods(hold.record.name)}
        return sorted(pods.values(), key=lambda pod: (pod.name, pod.uid))

    async def _fill(self, hold: Hold, place: Place, stored: dict[str, BlobInfo], told: Told, *, strict: bool) -> bool:
        """Store what is not there yet, the manifest last; False when what is there came too early for a pod."""
        record = hold.record
        earlier = await find_earlier(self._blobs, self._prefix, record, hold.claim.archive)
        keeper = LogKeeper(
            cluster=self._cluster,
            blobs=self._blobs,
            book=self._book,
            place=place,
            record=record,
            jobs={job.submitted.job_id: job.submitted for job in told.jobs},
            strict=strict,
            earlier=earlier,
        )
        collection = Collection(
            cluster=self._cluster,
            blobs=self._blobs,
            book=self._book,
            keeper=keeper,
            place=place,
            record=record,
            jobs=told.jobs,
            stored=stored,
            earlier=earlier,
        )
        collected = await collection.collect(at_once=self._logs_at_once)
        if collected is None:
            return False
        listed = await list_stored(self._blobs, place)
        told = await self._after_earlier(hold, told)
        await self._write(hold, place, compose(hold, await self._cluster.now(), collected, listed, told))
        return True

    async def _after_earlier(self, hold: Hold, told: Told) -> Told:
        """Name the archive that this reaping has made under an earlier path, whose place this one takes."""
        for path in earlier_paths(hold.claim.archive):
            try:
                earlier, raw = await read_manifest(self._blobs, archive_place(self._prefix, hold.record, path))
            except (NotFound, Damaged):
                continue
            if earlier.namespace_uid == hold.record.uid:
                return replace(told, supersedes=path, supersedes_sha256=_digest(raw))
        return told

    async def _write(self, hold: Hold, place: Place, manifest: Manifest) -> None:
        try:
            await self._blobs.write(
                place.container,
                place.blob(MANIFEST),
                encode(manifest),
                metadata=about(place, hold.record),
                locked_until=locked_until(place, hold.record),
            )
        except AlreadyExists:
            return

    async def _prove(self, hold: Hold, place: Place, *, strict: bool) -> Archived:
        manifest, raw = await read_manifest(self._blobs, place)
        await self._index_violations(hold, place, manifest, strict=strict)
        receipt = None
        if manifest.state != "Waived":
            until = locked_until(place, hold.record)
            if until is not None:
                await self._lock_jobs(hold.record.tenant_key, manifest, until)
            now = await self._cluster.now()
            receipt = await make_receipt(self._blobs, place, manifest, raw, now, locked_until=until, read_back=strict)
        return Archived(place=place, manifest=manifest, manifest_sha256=_digest(raw), receipt=receipt)

    async def _lock_jobs(self, tenant_key: str, manifest: Manifest, until: datetime) -> None:
        """Protect what recomputing needs as long as the archive: a lock from a job's end may be shorter."""
        for job in manifest.jobs:
            await self._book.lock(tenant_key, await self._book.submitted(tenant_key, job.job_id), until)

    async def _index_violations(self, hold: Hold, place: Place, manifest: Manifest, *, strict: bool) -> None:
        """Copy the violations into the tenant's index; a store that refuses them stops only who is `strict`."""
        number = 0
        if manifest.violations:
            try:
                number = await self._index.add(hold.record.tenant_key, place)
            except LivecalcError as error:
                if strict:
                    raise
                LOG.error(  # noqa: TRY400  (one sentence says it)
                    "The violations of archive %s are not in the index until `livecalc diagnostics reindex`: %s",
                    place.path,
                    error.detail,
                )
                return
        LOG.info("Indexed %d sentinel violations", number)


def _has_anothers(stored: dict[str, BlobInfo], hold: Hold) -> bool:
    """Tell whether something of another namespace is in the folder."""
    return any(info.metadata.get(OWNER) != hold.record.uid for info in stored.values())


def _what_to_do(path: str) -> str:
    return (
        f"It is archive number {_UNPROVED} of this reaping, and there will be no other: see that the store keeps what "
        f"it has acknowledged, then put back what is not as it was, or delete the blobs of {path}, and sweep again"
    )


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
