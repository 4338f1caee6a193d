"""The archives of reaped namespaces as the API offers them: list, show, verify, every blob, and the violations."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import datetime
from typing import TypeVar

from livecalc.audit.log import AuditLog
from livecalc.blobs.names import check_blob
from livecalc.blobs.port import BlobInfo, BlobStore
from livecalc.blobs.streams import closing
from livecalc.domain.errors import Damaged, InvalidInput, NotFound
from livecalc.domain.tenants import Principal
from livecalc.lifecycle.archive.folders import find_place, list_folders
from livecalc.lifecycle.archive.index import ViolationIndex
from livecalc.lifecycle.archive.manifest import Manifest, PodViolations, read_manifest, read_violations
from livecalc.lifecycle.archive.places import Place
from livecalc.lifecycle.diagnostics.reindex import reindex
from livecalc.lifecycle.diagnostics.verification import Verifier
from livecalc.records.bounded import map_bounded
from livecalc.telemetry.notices import notice
from livecalc.wire.diagnostics import Archive, ArchiveVerification, Reindexed, SentinelViolation

T = TypeVar("T")
_AT_ONCE = 8
_DEPTH = 3
"""Parts of the path `{bucket_id}/{timestamp}/{blob}`."""


class Diagnostics:
    """The archives of all tenants; every method is scoped by the caller's. Paths begin with the bucket id."""

    def __init__(self, blobs: BlobStore, prefix: str, audit: AuditLog) -> None:
        self._blobs = blobs
        self._prefix = prefix
        self._audit = audit
        self._index = ViolationIndex(blobs, prefix)
        self._verifier = Verifier(blobs, prefix, audit)

    async def list_archives(self, principal: Principal, bucket_id: str | None = None) -> list[Archive]:
        """List the archives of a bucket, or of all, by bucket and time: the newest of a bucket is its last."""
        return await self._pick(principal, bucket_id, _view)

    async def latest(self, principal: Principal, bucket_id: str) -> Archive:
        """The newest archive of a bucket. Raises NotFound."""
        for place in reversed(await self._places(principal, bucket_id)):
            manifest = await self._read(place)
            if manifest is not None:
                return _view(manifest)
        raise NotFound(f"bucket {bucket_id!r} has no archive: archives are made when its namespace is reaped")

    async def audit_heads(self, principal: Principal) -> list[str]:
        """The heads of the tenant's audit chain that its archives hold. Raises Damaged."""
        return [head for head in await self._pick(principal, None, lambda manifest: manifest.audit_head) if head]

    async def archives_by_job(self, principal: Principal, bucket_id: str) -> dict[str, Archive]:
        """The archives of all jobs of a bucket whose namespace was reaped."""
        return await self._pick_by_job(principal, bucket_id, _view)

    async def logs_of_job(self, principal: Principal, bucket_id: str, job_id: str) -> list[tuple[str, str]]:
        """The pod and path of each archived log of a job, by partition and age."""
        logs = await self._pick_by_job(principal, bucket_id, lambda manifest: _logs_of(manifest, job_id))
        return logs.get(job_id, [])

    async def manifest(self, principal: Principal, bucket_id: str, timestamp: str) -> bytes:
        """A manifest, byte for byte. Raises NotFound, Damaged."""
        place = await self._place(principal, bucket_id, timestamp)
        return (await read_manifest(self._blobs, place))[1]

    async def violations(self, principal: Principal, bucket_id: str, timestamp: str) -> list[PodViolations]:
        """The sentinel violations of one archive. Raises NotFound, Damaged."""
        place = await self._place(principal, bucket_id, timestamp)
        return await read_violations(self._blobs, place)

    async def sentinel_violations(
        self, principal: Principal, *, since: datetime | None = None, bucket_id: str | None = None, limit: int = 100
    ) -> list[SentinelViolation]:
        """The newest violations in the index over all archives. Damaged entries are left out with a notice."""
        return await self._index.find(principal.tenant_key, since=since, bucket_id=bucket_id, limit=limit)

    async def reindex(self, principal: Principal, *, check: bool, request_id: str) -> Reindexed:
        """Make the index of violations anew from the archives; `check` only compares, and is not audited.

        Raises Unavailable.
        """
        key = principal.tenant_key
        if check:
            return await reindex(self._blobs, self._prefix, key, repair=False)
        async with self._audit.operation(principal=principal, operation="reindex", request_id=request_id) as entry:
            found = await reindex(self._blobs, self._prefix, key, repair=True)
            entry.detail |= {
                "archives": found.archives,
                "with_violations": found.with_violations,
                "missing": found.missing,
                "wrong": found.wrong,
                "extra": found.extra,
            }
            entry.result = "ok" if found.equal else "the index is not equal to the archives"
        return found

    async def verify(self, principal: Principal, bucket_id: str, timestamp: str) -> ArchiveVerification:
        """Verify one archive by all its blobs and the whole audit chain. Raises NotFound, Unavailable."""
        return await self._verifier.verify(principal, bucket_id, timestamp)

    async def verify_blobs(self, principal: Principal, bucket_id: str, timestamp: str) -> ArchiveVerification:
        """Verify one archive by all its blobs alone, without the audit chain. Raises NotFound, Unavailable."""
        return await self._verifier.verify_blobs(principal, bucket_id, timestamp)

    async def verify_latest(self, principal: Principal, bucket_id: str) -> ArchiveVerification:
        """Verify the newest archive of a bucket, also when it is gone. Raises NotFound, Damaged, Unavailable."""
        return await self._verifier.verify_latest(principal, bucket_id)

    def verify_all(self, principal: Principal) -> AsyncGenerator[ArchiveVerification, None]:
        """Verify all archives, those that are gone without a reason, and what lies around. Raises Unavailable."""
        return self._verifier.verify_all(principal)

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
        return await find_place(self._blobs, self._prefix, principal.tenant_key, bucket_id, timestamp)

    async def _pick_by_job(self, principal: Principal, bucket_id: str, pick: Callable[[Manifest], T]) -> dict[str, T]:
        """Ask the last archive with pods of each job, else the first that knows it: later ones do too."""
        archives = await self._pick(
            principal,
            bucket_id,
            lambda manifest: (
                pick(manifest),
                [job.job_id for job in manifest.jobs],
                {pod.job_id for pod in manifest.pods if pod.job_id is not None},
            ),
        )
        found: dict[str, T] = {}
        for picked, known, _ in archives:
            for job_id in known:
                found.setdefault(job_id, picked)
        return found | {job_id: picked for picked, _, worked in archives for job_id in worked}

    async def _pick(self, principal: Principal, bucket_id: str | None, pick: Callable[[Manifest], T]) -> list[T]:
        """Read the manifests of a bucket, or of all, and keep of each only what is picked: there may be thousands."""

        async def read(place: Place) -> list[T]:
            manifest = await self._read(place)
            return [] if manifest is None else [pick(manifest)]

        found = await map_bounded(read, await self._places(principal, bucket_id), at_once=_AT_ONCE)
        return [each for picked in found for each in picked]

    async def _places(self, principal: Principal, bucket_id: str | None) -> list[Place]:
        return (await list_folders(self._blobs, self._prefix, principal.tenant_key, bucket_id)).archives

    async def _read(self, place: Place) -> Manifest | None:
        """Read a manifest; None, with a notice unless its retention has ended meanwhile, when it cannot be read."""
        try:
            return (await read_manifest(self._blobs, place))[0]
        except NotFound:
            return None
        except Damaged as error:
            notice(f"archive {place.folder.rstrip('/')} is left out: {error.detail}")
            return None


def _logs_of(manifest: Manifest, job_id: str) -> list[tuple[str, str]]:
    pods = sorted((pod for pod in manifest.pods if pod.job_id == job_id), key=lambda pod: pod.index or 0)
    folder = f"{manifest.bucket_id}/{manifest.timestamp}"
    return [(pod.name, f"{folder}/{log.blob}") for pod in pods for log in pod.containers if log.blob is not None]


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
