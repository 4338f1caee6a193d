"""Verify archives: blobs against manifests, manifests against their schema, and all against the audit chain.

Each difference is named in a sentence of its own; nothing is repaired.
"""

import hashlib
from collections.abc import AsyncGenerator

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from livecalc.audit.log import AuditLog
from livecalc.blobs.names import check_blob
from livecalc.blobs.port import BlobStore, read_all
from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import Damaged, InvalidInput, NotFound
from livecalc.domain.tenants import Principal
from livecalc.lifecycle.archive.folders import Folders, find_place, list_folders, list_later
from livecalc.lifecycle.archive.manifest import BlobEntry, Manifest, foreign_format, read_manifest
from livecalc.lifecycle.archive.places import MANIFEST, Place, path_order
from livecalc.lifecycle.archive.receipt import difference, list_stored
from livecalc.lifecycle.archive.schema import schema_differences
from livecalc.lifecycle.diagnostics.differences import contradictions, lying_around, unknown, unlocked, why_gone
from livecalc.lifecycle.diagnostics.testimony import NO_RECORD, Testimony, hear
from livecalc.records.bounded import map_bounded
from livecalc.wire.diagnostics import ArchiveVerification

_AT_ONCE = 8
EVERYTHING = "*"
"""What a verification of all archives calls what belongs to none of them."""


class _Subject(Struct, frozen=True, kw_only=True):
    """An archive's manifest: as it is stored, and as far as it can be read."""

    place: Place
    sha256: str | None
    manifest: Manifest | None
    differences: list[str]


class Verifier:
    """Verifies the archives of all tenants; every method is scoped by the caller's."""

    def __init__(self, blobs: BlobStore, prefix: str, audit: AuditLog) -> None:
        self._blobs = blobs
        self._prefix = prefix
        self._audit = audit

    async def verify(self, principal: Principal, bucket_id: str, timestamp: str) -> ArchiveVerification:
        """Verify one archive by all its blobs and the whole audit chain, which may know one that is gone.

        Raises NotFound for one that never was, and Unavailable.
        """
        try:
            place = await find_place(self._blobs, self._prefix, principal.tenant_key, bucket_id, timestamp)
        except NotFound:
            testimony = await hear(self._audit, principal.tenant_id)
            path = f"{bucket_id}/{timestamp}"
            if path not in testimony.gone(bucket_id, ()):
                raise
            return await self._verify_unlisted(principal, path, testimony)
        return await self._verify(principal, place, await hear(self._audit, principal.tenant_id))

    async def verify_blobs(self, principal: Principal, bucket_id: str, timestamp: str) -> ArchiveVerification:
        """Verify one archive by what lies in its folder: quickly, however long the audit chain is.

        Raises NotFound, Unavailable.
        """
        place = await find_place(self._blobs, self._prefix, principal.tenant_key, bucket_id, timestamp)
        return await self._verify(principal, place, None)

    async def verify_latest(self, principal: Principal, bucket_id: str) -> ArchiveVerification:
        """Verify the newest archive of a bucket, and tell which others of it are gone without a reason.

        Raises NotFound for a bucket that never had one, Damaged, Unavailable.
        """
        folders = await list_folders(self._blobs, self._prefix, principal.tenant_key, bucket_id)
        testimony = await hear(self._audit, principal.tenant_id)
        there = [place.path for place in folders.archives]
        gone = testimony.gone(bucket_id, there)
        if not (there or gone):
            raise NotFound(f"bucket {bucket_id!r} has no archive: archives are made when its namespace is reaped")
        newest = max([*there, *gone], key=path_order)
        found = await self._verify_unlisted(principal, newest, testimony)
        others = [f"archive {path}: {why_gone(path, testimony)}" for path in gone if path != newest]
        return replace(found, holds=found.holds and not others, differences=[*found.differences, *others])

    async def verify_all(self, principal: Principal) -> AsyncGenerator[ArchiveVerification, None]:
        """Verify all archives, by bucket and time; then tell of those that are gone, and of blobs that are of none.

        Raises Unavailable.
        """
        others: list[str] = []
        folders = Folders(archives=[], strays=[])
        try:
            folders = await list_folders(self._blobs, self._prefix, principal.tenant_key)
        except Damaged as error:
            # Those that the chain knows are verified all the same.
            others.append(f"what is there cannot be listed: {error.detail}")
        testimony = await hear(self._audit, principal.tenant_id)
        there = {place.path for place in folders.archives}
        for place in folders.archives:
            try:
                yield await self._verify(principal, place, testimony)
            except NotFound:
                continue  # its retention has ended meanwhile
        for path in sorted(testimony.made.keys() - there - testimony.deleted):
            yield await self._verify_unlisted(principal, path, testimony)
        others += lying_around(folders, testimony)
        if testimony.flaw is not None and testimony.flaw != NO_RECORD:
            others.append(testimony.flaw)  # where there is no archive to say it
        if others:
            yield ArchiveVerification(archive=EVERYTHING, holds=False, blobs=0, bytes=0, differences=others)

    async def _verify_unlisted(self, principal: Principal, path: str, testimony: Testimony) -> ArchiveVerification:
        """Verify an archive that may be gone. Raises NotFound when the chain does not know it either."""
        bucket, _, timestamp = path.rpartition("/")
        try:
            place = await find_place(self._blobs, self._prefix, principal.tenant_key, bucket, timestamp)
        except NotFound:
            if path not in testimony.made:
                raise
            gone = why_gone(path, testimony)
            return ArchiveVerification(archive=path, holds=False, blobs=0, bytes=0, differences=[gone])
        return await self._verify(principal, place, testimony)

    async def _verify(self, principal: Principal, place: Place, testimony: Testimony | None) -> ArchiveVerification:
        subject = await self._read(place)
        differences = [*subject.differences]
        manifest = subject.manifest
        if manifest is not None:
            differences += [*contradictions(place, manifest), *await self._stored(place, manifest, subject.sha256)]
        if testimony is not None:
            differences += await self._audited(principal, subject, testimony)
        entries = [] if manifest is None else manifest.blobs
        return ArchiveVerification(
            archive=place.path,
            holds=not differences,
            blobs=len(entries),
            bytes=sum(entry.bytes for entry in entries),
            differences=differences,
            manifest_sha256=subject.sha256,
        )

    async def _read(self, place: Place) -> _Subject:
        """Read a manifest as strictly as its schema asks. Raises NotFound."""
        try:
            raw = await read_all(self._blobs, place.container, place.blob(MANIFEST))
        except Damaged as error:
            found = [f"{MANIFEST} is damaged: {error.detail}"]
            return _Subject(place=place, sha256=None, manifest=None, differences=found)
        manifest, found = None, list[str]()
        try:
            foreign = foreign_format(raw)
            if foreign is None:
                found += [f"{MANIFEST}: {each}" for each in schema_differences(decode_json(raw, object))]
                manifest = decode_json(raw, Manifest)
            else:
                found = [f"{MANIFEST} cannot be read: {foreign}"]
        except msgspec.DecodeError as error:
            found = found or [f"{MANIFEST} cannot be read: {error}"]
        return _Subject(place=place, sha256=hashlib.sha256(raw).hexdigest(), manifest=manifest, differences=found)

    async def _stored(self, place: Place, manifest: Manifest, sha256: str | None) -> list[str]:
        """Compare every blob with its entry, and name what has none."""
        found = await map_bounded(lambda entry: self._difference(place, entry), manifest.blobs, at_once=_AT_ONCE)
        differences = [each for each in found if each is not None]
        try:
            stored = await list_stored(self._blobs, place)
        except Damaged as error:
            return [*differences, f"its blobs cannot be listed: {error.detail}"]
        if MANIFEST in stored and stored[MANIFEST].sha256 not in {"", sha256}:
            differences.append(f"{MANIFEST} is not what was written")
        listed = {entry.name for entry in manifest.blobs} | {MANIFEST}
        differences += [f"{name} is not in the manifest" for name in sorted(stored.keys() - listed)]
        return [*differences, *unlocked(place, stored)]

    async def _difference(self, place: Place, entry: BlobEntry) -> str | None:
        try:
            check_blob(place.blob(entry.name))
        except InvalidInput as error:
            return f"{MANIFEST} lists what is no blob: {error.detail}"
        return await difference(self._blobs, place, entry)

    async def _audited(self, principal: Principal, subject: _Subject, testimony: Testimony) -> list[str]:
        """Compare a manifest with what the chain says of it, and the chain with what the manifest says of it."""
        found = [] if testimony.flaw is None else [testimony.flaw]
        path = subject.place.path
        made = testimony.made.get(path)
        if made is None:
            if not await self._is_vouched_for(subject, testimony):
                found.append(unknown(path, testimony))
        elif made.manifest_sha256 is None:
            found.append(f"audit record {made.sequence}, of its reap, does not say what its manifest was")
        elif subject.sha256 not in {None, made.manifest_sha256}:
            found.append(
                f"{MANIFEST} has digest {str(subject.sha256)[:12]} instead of {made.manifest_sha256[:12]}, "
                f"which audit record {made.sequence} says of it"
            )
        manifest = subject.manifest
        if manifest is not None and manifest.audit_head is not None:
            head = testimony.head_difference(manifest.audit_head)
            found += [] if head is None else [head]
        if manifest is not None and manifest.supersedes not in {None, *testimony.deleted}:
            found += await self._missing(principal, str(manifest.supersedes))
        return found

    async def _missing(self, principal: Principal, path: str) -> list[str]:
        bucket, _, timestamp = path.rpartition("/")
        try:
            await find_place(self._blobs, self._prefix, principal.tenant_key, bucket, timestamp)
        except NotFound:
            return [f"archive {path}, which came too early and which this one vouches for, is gone"]
        return []

    async def _is_vouched_for(self, subject: _Subject, testimony: Testimony) -> bool:
        """Tell whether an archive that came too early for a pod is named, with its digest, by one in the chain."""
        named: tuple[str, str | None] = (subject.place.path, subject.sha256)
        try:
            later = await list_later(self._blobs, subject.place)
        except Damaged:
            return False
        for place in later:
            try:
                manifest, raw = await read_manifest(self._blobs, place)
            except (NotFound, Damaged):
                continue
            if (manifest.supersedes, manifest.supersedes_sha256) != named:
                continue
            named = (place.path, hashlib.sha256(raw).hexdigest())
            made = testimony.made.get(place.path)
            if made is not None:
                return made.manifest_sha256 == named[1]
        return False
