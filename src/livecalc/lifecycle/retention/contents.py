"""What one deletion consists of, and the last look at whether it may happen; listed anew each time it is begun."""

from collections import defaultdict
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from livecalc.blobs.port import BlobInfo, BlobStore, read_all
from livecalc.domain.errors import NotFound
from livecalc.domain.jobs import RANDOM_BITS, new_job_id
from livecalc.domain.shelves import result_shelf
from livecalc.lifecycle.archive.places import MANIFEST
from livecalc.lifecycle.plan import CLOCK_TOLERANCE
from livecalc.lifecycle.retention.holds import read_holds
from livecalc.lifecycle.retention.look import (
    read_submitted,
    see_archive,
    shelves_of_bundles,
    shelves_of_results,
)
from livecalc.lifecycle.retention.marks import Target
from livecalc.lifecycle.retention.plan import Keep, decide_archive, held, protected
from livecalc.lifecycle.retention.seen import JobSeen, Stored, TenantSeen
from livecalc.records import paths

Blob = tuple[str, BlobInfo]
"""With its container."""


class Contents(Struct, frozen=True, kw_only=True):
    """The blobs of one deletion, in the order in which they go."""

    first: tuple[Blob, ...] = ()
    """What says that the rest is there."""
    rest: tuple[Blob, ...] = ()
    last: tuple[Blob, ...] = ()
    """What says where to look for the rest."""

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """All of them."""
        return self.first + self.rest + self.last

    @property
    def stored(self) -> Stored:
        """What they are together."""
        return Stored.of(info for _, info in self.blobs)


class Shelves:
    """The contents of one run's deletions."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._keys: dict[tuple[str, str], dict[str, list[Blob]]] = {}
        """The submit keys of buckets, by job; read once."""

    async def contents(self, tenant: TenantSeen, target: Target) -> Contents:
        """List what is there now. Raises Unavailable, Damaged."""
        if target.kind == "archive":
            return await self._archive(target)
        if target.kind == "job":
            return await self._job(tenant.key, target)
        return await self._bundle(tenant.key, target)

    async def why_kept(
        self, tenant: TenantSeen, target: Target, contents: Contents, now: datetime, since: datetime
    ) -> str | None:
        """Say what stands against a deletion that was planned at `since`; None when nothing does.

        Raises Unavailable, Damaged.
        """
        if not contents.blobs:
            return None
        holds = tuple(await read_holds(self._blobs, tenant.key, target.bucket_id)) if target.bucket_id else ()
        if target.place is not None:
            seen = await see_archive(self._blobs, tenant.key, target.place, [info for _, info in contents.blobs])
            decision = decide_archive(msgspec.structs.replace(tenant, holds=holds), seen, now)
            return decision.reason if isinstance(decision, Keep) else None
        standing = protected(contents.stored, now)
        if target.kind == "job":
            standing = standing or held(holds, _named(target))
        else:
            standing = standing or await self._needed(tenant.key, target.name, since)
        return None if standing is None else standing.reason

    async def _archive(self, target: Target) -> Contents:
        place = target.place
        if place is None:
            return Contents()
        found = [(place.container, info) async for info in self._blobs.list_blobs(place.container, place.folder)]
        return Contents(
            first=tuple(blob for blob in found if blob[1].name == place.blob(MANIFEST)),
            rest=tuple(blob for blob in found if blob[1].name != place.blob(MANIFEST)),
        )

    async def _job(self, key: str, target: Target) -> Contents:
        first: list[Blob] = []
        rest: list[Blob] = []
        last: list[Blob] = []
        for shelf in shelves_of_results(key):
            async for info in self._blobs.list_blobs(shelf.container, shelf.blob(paths.job_prefix(target.name))):
                record = info.name == shelf.blob(paths.submitted(target.name))
                (first if record else rest).append((shelf.container, info))
            if target.bucket_id:
                index = shelf.blob(paths.index(target.bucket_id, target.name))
                last += await self._stat(shelf.container, index)
        if target.bucket_id:
            keys = await self._keys_of(key, target.bucket_id)
            rest += keys.get(target.name, [])
        return Contents(first=tuple(first), rest=tuple(rest), last=tuple(last))

    async def _bundle(self, key: str, target: Target) -> Contents:
        found: list[Blob] = []
        for shelf in shelves_of_bundles(key):
            found += await self._stat(shelf.container, shelf.blob(target.name))
        return Contents(first=tuple(found))

    async def _stat(self, container: str, name: str) -> list[Blob]:
        with suppress(NotFound):
            return [(container, await self._blobs.stat(container, name))]
        return []

    async def _keys_of(self, key: str, bucket_id: str) -> dict[str, list[Blob]]:
        if (key, bucket_id) not in self._keys:
            container = result_shelf(key).container
            found: defaultdict[str, list[Blob]] = defaultdict(list)
            async for info in self._blobs.list_blobs(container, paths.key_prefix(bucket_id)):
                with suppress(NotFound):
                    found[(await read_all(self._blobs, container, info.name)).decode(errors="replace")].append(
                        (container, info)
                    )
            self._keys[key, bucket_id] = found
        return self._keys[key, bucket_id]

    async def _needed(self, key: str, model_bundle_hash: str, since: datetime) -> Keep | None:
        """Find a job that was submitted since the plan was made, and needs a bundle."""
        last = new_job_id(since - CLOCK_TOLERANCE - timedelta(seconds=1), (1 << RANDOM_BITS) - 1)
        for shelf in shelves_of_results(key):
            listing = self._blobs.list_blobs(
                shelf.container, shelf.blob(paths.JOBS), after=shelf.blob(paths.job_prefix(last))
            )
            names = {info.name.removeprefix(shelf.blob(paths.JOBS)).partition("/")[0] async for info in listing}
            for job_id in sorted(names):
                record = await read_submitted(self._blobs, shelf, job_id)
                if record is not None and record.model_bundle_hash == model_bundle_hash:
                    return Keep(f"job {job_id} needs it")
        return None


def _named(target: Target) -> JobSeen:
    return JobSeen(
        job_id=target.name, bucket_id=target.bucket_id, stored=Stored(), kept_until=None, model_bundle_hash=None
    )
