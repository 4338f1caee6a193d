"""Look at a tenant's archives, jobs and bundles, and find out until when each is kept. Writes nothing.

Which retention something has is said by the container it lies in; what it says of itself can only make that longer.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from livecalc.blobs.port import BlobInfo, BlobStore, read_all
from livecalc.blobs.stored import decode_stored
from livecalc.domain.errors import Damaged, NotFound
from livecalc.domain.jobs import is_job_id
from livecalc.domain.retention import Retention, retain_until
from livecalc.domain.shelves import Shelf, bundle_shelf, is_regulatory, result_shelf
from livecalc.domain.tenants import tenant_key
from livecalc.domain.timestamps import parse_timestamp
from livecalc.lifecycle.archive.manifest import Manifest, read_manifest
from livecalc.lifecycle.archive.places import (
    MANIFEST,
    RETAIN_UNTIL,
    Place,
    bucket_places,
    kept_until,
    split_name,
)
from livecalc.lifecycle.retention.seen import ArchiveSeen, Blob, BundleSeen, JobSeen, Stored
from livecalc.records import paths
from livecalc.records.bounded import map_bounded
from livecalc.records.model import SubmittedRecord

_AT_ONCE = 16
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


async def see_archives(blobs: BlobStore, prefix: str, key: str) -> list[ArchiveSeen]:
    """Look at all archives of a tenant, also at folders that have no manifest (any more). Raises Unavailable."""
    folders: defaultdict[tuple[str, str], list[BlobInfo]] = defaultdict(list)
    for top in bucket_places(prefix, key, None):
        async for info in blobs.list_blobs(top.container, top.folder):
            path, _ = split_name(info.name.removeprefix(top.folder))
            if path:
                folders[top.container, f"{top.folder}{path}/"].append(info)
    places = [(Place(container=container, folder=folder), found) for (container, folder), found in folders.items()]
    return await map_bounded(lambda each: see_archive(blobs, key, *each), places, at_once=_AT_ONCE)


async def see_archive(blobs: BlobStore, key: str, place: Place, infos: Sequence[BlobInfo]) -> ArchiveSeen:
    """Look at one archive of the tenant with this key, whose blobs were listed. Raises Unavailable."""
    manifest: Manifest | None = None
    unknown = ""
    if any(info.name == place.blob(MANIFEST) for info in infos):
        try:
            manifest, _ = await read_manifest(blobs, place)
        except NotFound:
            pass
        except Damaged as error:
            unknown = error.detail
    if manifest is not None and tenant_key(manifest.tenant_id) != key:
        unknown = f"its manifest is of tenant {manifest.tenant_id}"
    said = [info.metadata[RETAIN_UNTIL] for info in infos if RETAIN_UNTIL in info.metadata]
    if manifest is not None:
        said.append(manifest.retain_until)
    dates = [date for date in map(parse_timestamp, said) if date is not None]
    if len(dates) < len(said):
        unknown = unknown or "what it says of its retention cannot be read"
    return ArchiveSeen(
        place=place,
        stored=Stored.of(infos),
        kept_until=max([kept_until(place.path, _class_of(place.container)), *dates]),
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
    found: defaultdict[str, list[Blob]] = defaultdict(list)
    buckets: dict[str, str] = {}
    for shelf in shelves_of_results(key):
        async for info in blobs.list_blobs(shelf.container, shelf.blob(paths.JOBS)):
            job_id = info.name.removeprefix(shelf.blob(paths.JOBS)).partition("/")[0]
            if is_job_id(job_id):
                found[job_id].append((shelf.container, info))
        async for info in blobs.list_blobs(shelf.container, shelf.blob(paths.BUCKETS)):
            bucket, _, job_id = info.name.removeprefix(shelf.blob(paths.BUCKETS)).partition("/")
            if is_job_id(job_id):
                found[job_id].append((shelf.container, info))
                buckets[job_id] = bucket
    return await map_bounded(
        lambda job_id: see_job(blobs, key, job_id, buckets.get(job_id, ""), found[job_id]),
        sorted(found),
        at_once=_AT_ONCE,
    )


async def see_job(blobs: BlobStore, key: str, job_id: str, bucket_id: str, found: Sequence[Blob]) -> JobSeen:
    """Look at one job, whose blobs were listed; its bucket is needed where its record is gone. Raises Unavailable."""
    record, unknown = None, ""
    there = {(container, info.name) for container, info in found}
    for shelf in shelves_of_results(key):
        if (shelf.container, shelf.blob(paths.submitted(job_id))) in there:
            try:
                record = await read_submitted(blobs, shelf, job_id)
            except Damaged as error:
                unknown = error.detail
    infos = [info for _, info in found]
    bucket_id = record.bucket_id if record is not None else bucket_id
    return JobSeen(
        job_id=job_id,
        bucket_id=bucket_id,
        stored=Stored.of(infos),
        kept_until=retain_until(_class_of_job(record, found), _ended_at(job_id, bucket_id, infos)),
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


def _class_of_job(record: SubmittedRecord | None, found: Sequence[Blob]) -> Retention:
    """A job's retention; the longer one when what its record says is not understood."""
    if any(is_regulatory(container) for container, _ in found):
        return Retention.REGULATORY
    if record is None:
        return Retention.STANDARD
    try:
        return Retention(record.retention)
    except ValueError:
        return Retention.REGULATORY


def _ended_at(job_id: str, bucket_id: str, infos: Sequence[BlobInfo]) -> datetime:
    """When its end was recorded, else when it was submitted, else when the last of what is left was stored.

    The end's record and the index go last, so that a deletion that was cut off does not change the date.
    """
    for name in (paths.finished(job_id), paths.submitted(job_id), paths.index(bucket_id, job_id)):
        stored = [info.created_at for info in infos if info.name.endswith(name)]
        if stored:
            return max(stored)
    return max(info.created_at for info in infos)


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
