"""Look at a tenant's archives, jobs and bundles, and find out until when each is kept. Writes nothing.

Which retention something has is said by the container it lies in; what it says of itself can only make that longer.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

from livecalc.blobs.port import BlobStore, read_all
from livecalc.blobs.stored import decode_stored
from livecalc.domain.errors import Damaged, NotFound
from livecalc.domain.jobs import is_job_id
from livecalc.domain.retention import Retention, retain_until
from livecalc.domain.shelves import Shelf, bundle_shelf, is_regulatory, result_shelf
from livecalc.domain.tenants import tenant_key
from livecalc.lifecycle.archive.manifest import Manifest, read_manifest
from livecalc.lifecycle.archive.places import Place, bucket_places, kept_until, split_name
from livecalc.lifecycle.retention.folders import ArchiveFolder, JobFolder
from livecalc.lifecycle.retention.seen import ArchiveSeen, Blob, BundleSeen, JobSeen, Stored
from livecalc.records import paths
from livecalc.records.bounded import map_bounded
from livecalc.records.model import SubmittedRecord

_AT_ONCE = 16
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


async def see_archives(blobs: BlobStore, prefix: str, key: str) -> list[ArchiveSeen]:
    """Look at all archives of a tenant, also at folders that have no manifest (any more). Raises Unavailable."""
    folders: dict[Place, ArchiveFolder] = {}
    for top in bucket_places(prefix, key, None):
        async for info in blobs.list_blobs(top.container, top.folder):
            path, _ = split_name(info.name.removeprefix(top.folder))
            if path:
                place = Place(container=top.container, folder=f"{top.folder}{path}/")
                folders.setdefault(place, ArchiveFolder(place=place)).add(info)
    return await map_bounded(lambda folder: see_archive(blobs, key, folder), folders.values(), at_once=_AT_ONCE)


async def see_archive(blobs: BlobStore, key: str, folder: ArchiveFolder) -> ArchiveSeen:
    """Look at one archive of the tenant with this key, whose blobs were listed. Raises Unavailable."""
    place = folder.place
    manifest: Manifest | None = None
    unknown = ""
    if folder.has_manifest:
        try:
            manifest, _ = await read_manifest(blobs, place)
        except NotFound:
            pass
        except Damaged as error:
            unknown = error.detail
    if manifest is not None:
        folder.hear(manifest.retain_until)
        if tenant_key(manifest.tenant_id) != key:
            unknown = f"its manifest is of tenant {manifest.tenant_id}"
    if not folder.is_clear:
        unknown = unknown or "what it says of its retention cannot be read"
    promised = kept_until(place.path, _class_of(place.container))
    return ArchiveSeen(
        place=place,
        stored=folder.stored,
        kept_until=max(promised, folder.says_until or promised),
        has_manifest=manifest is not None,
        jobs=None if manifest is None else _jobs_of(manifest),
        bundles=frozenset() if manifest is None else _bundles_of(manifest),
        tenant_id=None if manifest is None else manifest.tenant_id,
        unknown=unknown,
    )


def _class_of(container: str) -> Retention:
    return Retention.REGULATORY if is_regulatory(container) else Retention.STANDARD


def _jobs_of(manifest: Manifest) -> frozenset[str] | None:
    """The jobs of an archive; None where something may be missing of them."""
    if manifest.state == "Waived" or manifest.notes:
        return None
    return frozenset(
        [job.job_id for job in manifest.jobs] + [pod.job_id for pod in manifest.pods if pod.job_id is not None]
    )


def _bundles_of(manifest: Manifest) -> frozenset[str]:
    return frozenset(job.model_bundle_hash for job in manifest.jobs if job.model_bundle_hash is not None)


async def see_jobs(blobs: BlobStore, key: str) -> list[JobSeen]:
    """Look at all jobs of a tenant, also at what is left of one that was not wholly forgotten. Raises Unavailable."""
    folders: dict[str, JobFolder] = {}
    for shelf in shelves_of_results(key):
        async for info in blobs.list_blobs(shelf.container, shelf.blob(paths.JOBS)):
            job_id = info.name.removeprefix(shelf.blob(paths.JOBS)).partition("/")[0]
            if is_job_id(job_id):
                folders.setdefault(job_id, JobFolder(job_id=job_id)).add(shelf.container, info)
        async for info in blobs.list_blobs(shelf.container, shelf.blob(paths.BUCKETS)):
            bucket, _, job_id = info.name.removeprefix(shelf.blob(paths.BUCKETS)).partition("/")
            if is_job_id(job_id):
                folder = folders.setdefault(job_id, JobFolder(job_id=job_id))
                folder.bucket_id = bucket
                folder.add(shelf.container, info)
    in_order = [folders[job_id] for job_id in sorted(folders)]
    return await map_bounded(lambda folder: see_job(blobs, key, folder), in_order, at_once=_AT_ONCE)


async def see_job(blobs: BlobStore, key: str, folder: JobFolder) -> JobSeen:
    """Look at one job, whose blobs were listed; its bucket is needed where its record is gone. Raises Unavailable."""
    record, unknown = None, ""
    for shelf in shelves_of_results(key):
        if shelf.container in folder.recorded_in:
            try:
                record = await read_submitted(blobs, shelf, folder.job_id) or record
            except Damaged as error:
                unknown = error.detail
    return JobSeen(
        job_id=folder.job_id,
        bucket_id=record.bucket_id if record is not None else folder.bucket_id,
        stored=folder.stored,
        kept_until=retain_until(_class_of_job(record, folder), folder.ended_at),
        model_bundle_hash=record.model_bundle_hash if record is not None else None,
        tenant_id=record.tenant_id if record is not None else None,
        unknown=unknown,
    )


async def read_submitted(blobs: BlobStore, shelf: Shelf, job_id: str) -> SubmittedRecord | None:
    """Read what was asked; None when it is gone. Raises Damaged, Unavailable."""
    name = paths.submitted(job_id)
    try:
        return decode_stored(
            await read_all(blobs, shelf.container, shelf.blob(name)), SubmittedRecord, f"record {name}"
        )
    except NotFound:
        return None


def _class_of_job(record: SubmittedRecord | None, folder: JobFolder) -> Retention:
    """A job's retention; the longer one when what its record says is not understood."""
    if folder.is_regulatory:
        return Retention.REGULATORY
    if record is None:
        return Retention.STANDARD
    try:
        return Retention(record.retention)
    except ValueError:
        return Retention.REGULATORY


async def see_bundles(blobs: BlobStore, key: str) -> list[BundleSeen]:
    """Look at all bundles of a tenant. Raises Unavailable."""
    found: defaultdict[str, list[Blob]] = defaultdict(list)
    for shelf in shelves_of_bundles(key):
        async for info in blobs.list_blobs(shelf.container, shelf.prefix):
            name = info.name.removeprefix(shelf.prefix)
            if _HASH.fullmatch(name) is not None:
                found[name].append((shelf.container, info))
    return [see_bundle(name, stored) for name, stored in sorted(found.items())]


def see_bundle(model_bundle_hash: str, found: Sequence[Blob]) -> BundleSeen:
    """Look at one bundle, whose blobs were listed."""
    return BundleSeen(
        model_bundle_hash=model_bundle_hash,
        stored=Stored.of(info for _, info in found),
        kept_until=max(retain_until(_class_of(container), info.created_at) for container, info in found),
    )


def shelves_of_results(key: str) -> list[Shelf]:
    """Where a tenant's records and results may lie."""
    return [result_shelf(key, retention) for retention in Retention]


def shelves_of_bundles(key: str) -> list[Shelf]:
    """Where a tenant's bundles may lie."""
    return [bundle_shelf(key, retention) for retention in Retention]
