"""Read the archives of reaped namespaces: list, show, verify, and every blob in them. Writes nothing."""

import hashlib
from collections.abc import AsyncIterator

import msgspec

from livecalc.blobs.names import check_blob
from livecalc.blobs.port import BlobInfo, BlobStore, read_all
from livecalc.domain.buckets import is_bucket_id
from livecalc.domain.errors import Damaged, InvalidInput, NotFound
from livecalc.domain.tenants import Principal
from livecalc.lifecycle.archive import list_stored
from livecalc.lifecycle.bounded import map_bounded
from livecalc.lifecycle.manifest import Manifest, PodViolations, read_manifest
from livecalc.lifecycle.places import MANIFEST, VIOLATIONS, Place, bucket_places, is_archive_timestamp
from livecalc.lifecycle.receipt import difference
from livecalc.lifecycle.streams import closing
from livecalc.telemetry.notices import notice
from livecalc.wire.diagnostics import Archive, ArchiveVerification

_AT_ONCE = 8
_DEPTH = 3
"""Parts of the path `{bucket_id}/{timestamp}/{blob}`."""


class Diagnostics:
    """The archives of all tenants; every method is scoped by the caller's. Paths begin with the bucket id."""

    def __init__(self, blobs: BlobStore, prefix: str) -> None:
        self._blobs = blobs
        self._prefix = prefix

    async def list_archives(self, principal: Principal, bucket_id: str | None = None) -> list[Archive]:
        """List the archives of a bucket, or of all, by bucket and time: the newest of a bucket is its last."""
        found = await self._manifests(principal, bucket_id)
        return [_view(manifest) for manifest in sorted(found, key=_in_order)]

    async def latest(self, principal: Principal, bucket_id: str) -> Archive:
        """The newest archive of a bucket. Raises NotFound."""
        archives = await self.list_archives(principal, bucket_id)
        if not archives:
            raise NotFound(f"bucket {bucket_id!r} has no archive: archives are made when its namespace is reaped")
        return archives[-1]

    async def audit_heads(self, principal: Principal) -> list[str]:
        """The heads of the tenant's audit chain that its archives hold. Raises Damaged."""
        return [each.audit_head for each in await self._manifests(principal, None) if each.audit_head]

    async def archive_of(self, principal: Principal, bucket_id: str, job_id: str) -> Archive | None:
        """The archive of a job's namespace; None while that was not reaped."""
        found = await self._manifest_of(principal, bucket_id, job_id)
        return None if found is None else _view(found)

    async def logs_of_job(self, principal: Principal, bucket_id: str, job_id: str) -> list[tuple[str, str]]:
        """The pod and path of each archived log of a job, by partition and age."""
        manifest = await self._manifest_of(principal, bucket_id, job_id)
        if manifest is None:
            return []
        pods = sorted((pod for pod in manifest.pods if pod.job_id == job_id), key=lambda pod: pod.index or 0)
        folder = f"{manifest.bucket_id}/{manifest.timestamp}"
        return [(pod.name, f"{folder}/{log.blob}") for pod in pods for log in pod.containers if log.blob is not None]

    async def manifest(self, principal: Principal, bucket_id: str, timestamp: str) -> bytes:
        """A manifest, byte for byte. Raises NotFound, Damaged."""
        place = await self._place(principal, bucket_id, timestamp)
        return (await read_manifest(self._blobs, place))[1]

    async def violations(self, principal: Principal, bucket_id: str, timestamp: str) -> list[PodViolations]:
        """The sentinel violations of one archive. Raises NotFound, Damaged."""
        place = await self._place(principal, bucket_id, timestamp)
        raw = await read_all(self._blobs, place.container, place.blob(VIOLATIONS))
        try:
            return msgspec.json.decode(raw, type=list[PodViolations])
        except msgspec.DecodeError as error:
            raise Damaged(f"the violations of archive {bucket_id}/{timestamp} cannot be read: {error}") from None

    async def verify(self, principal: Principal, bucket_id: str, timestamp: str) -> ArchiveVerification:
        """Read every blob of an archive and compare it with the manifest; also what the manifest does not list.

        Raises NotFound, and Damaged when the manifest itself cannot be read.
        """
        place = await self._place(principal, bucket_id, timestamp)
        manifest, raw = await read_manifest(self._blobs, place)
        stored = await list_stored(self._blobs, place)
        found = await map_bounded(
            lambda entry: difference(self._blobs, place, entry, whole=True), manifest.blobs, at_once=_AT_ONCE
        )
        differences = [each for each in found if each is not None]
        if stored[MANIFEST].sha256 not in {"", hashlib.sha256(raw).hexdigest()}:
            differences.append(f"{MANIFEST} is not what was written")
        listed = {entry.name for entry in manifest.blobs} | {MANIFEST}
        differences += [f"{name} is not in the manifest" for name in sorted(stored.keys() - listed)]
        return ArchiveVerification(
            archive=f"{bucket_id}/{timestamp}",
            holds=not differences,
            blobs=len(manifest.blobs),
            bytes=sum(entry.bytes for entry in manifest.blobs),
            differences=differences,
        )

    async def stat_blob(self, principal: Principal, path: str) -> BlobInfo:
        """What is known of the blob `{bucket_id}/{timestamp}/...`. Raises NotFound, InvalidInput."""
        place, name = await self._find(principal, path)
        return await self._blobs.stat(place.container, place.blob(name))

    async def read_blob(
        self, principal: Principal, path: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Stream a blob, or a part of it. Raises NotFound, InvalidInput."""
        place, name = await self._find(principal, path)
        reading = self._blobs.read(place.container, place.blob(name), offset=offset, length=length)
        async with closing(reading) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _find(self, principal: Principal, path: str) -> tuple[Place, str]:
        parts = check_blob(path).split("/", _DEPTH - 1)
        if len(parts) < _DEPTH:
            raise InvalidInput(f"path {path[:80]!r} is not valid: use BUCKET/TIMESTAMP/BLOB")
        return await self._place(principal, parts[0], parts[1]), parts[2]

    async def _place(self, principal: Principal, bucket_id: str, timestamp: str) -> Place:
        if is_bucket_id(bucket_id) and is_archive_timestamp(timestamp):
            for place in bucket_places(self._prefix, principal.tenant_key, f"{bucket_id}/{timestamp}"):
                try:
                    await self._blobs.stat(place.container, place.blob(MANIFEST))
                except NotFound:
                    continue
                return place
        raise NotFound(f"there is no archive {bucket_id[:60]}/{timestamp[:60]}")

    async def _manifest_of(self, principal: Principal, bucket_id: str, job_id: str) -> Manifest | None:
        """Find the last archive with pods of the job; else the first that knows it: later ones of its bucket do too."""
        found = sorted(await self._manifests(principal, bucket_id), key=_in_order)
        with_pods = [each for each in found if any(pod.job_id == job_id for pod in each.pods)]
        if with_pods:
            return with_pods[-1]
        return next((each for each in found if any(job.job_id == job_id for job in each.jobs)), None)

    async def _manifests(self, principal: Principal, bucket_id: str | None) -> list[Manifest]:
        if bucket_id is not None and not is_bucket_id(bucket_id):
            return []
        places: list[Place] = []
        for top in bucket_places(self._prefix, principal.tenant_key, bucket_id):
            listing = self._blobs.list_blobs(top.container, top.folder)
            names = [info.name async for info in listing if info.name.endswith(f"/{MANIFEST}")]
            places += [Place(container=top.container, folder=name.removesuffix(MANIFEST)) for name in names]

        async def read(place: Place) -> Manifest | None:
            try:
                return (await read_manifest(self._blobs, place))[0]
            except NotFound:
                return None  # its retention has ended meanwhile
            except Damaged as error:
                notice(f"archive {place.folder.rstrip('/')} is left out: {error.detail}")
                return None

        found = await map_bounded(read, places, at_once=_AT_ONCE)
        return [manifest for manifest in found if manifest is not None]


def _in_order(manifest: Manifest) -> tuple[str, str, str]:
    # `-2` within a second comes after the one without.
    return manifest.bucket_id, manifest.timestamp[:15], manifest.timestamp[15:].rjust(8)


def _view(manifest: Manifest) -> Archive:
    return Archive(
        bucket_id=manifest.bucket_id,
        timestamp=manifest.timestamp,
        state=manifest.state,
        blobs=len(manifest.blobs),
        bytes=sum(blob.bytes for blob in manifest.blobs),
        violations=manifest.violations,
        reaped_at=manifest.archived_at,
        reaped_by=manifest.reaped_by,
        retain_until=manifest.retain_until,
    )
