"""What one deletion consists of, listed anew each time it is begun or gone on with."""

from collections import defaultdict
from contextlib import suppress

from msgspec import Struct

from livecalc.blobs.port import BlobStore, read_all
from livecalc.domain.errors import NotFound
from livecalc.domain.shelves import result_shelf
from livecalc.lifecycle.archive.places import MANIFEST, Place
from livecalc.lifecycle.retention.look import shelves_of_bundles, shelves_of_results
from livecalc.lifecycle.retention.marks import Target
from livecalc.lifecycle.retention.seen import Blob, Stored
from livecalc.records import paths


class Contents(Struct, frozen=True, kw_only=True):
    """The blobs of one deletion, in the order in which they go."""

    first: tuple[Blob, ...] = ()
    """What says that the rest is there."""
    rest: tuple[Blob, ...] = ()
    last: tuple[Blob, ...] = ()
    """What says where to look for the rest, and since when it may go."""

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

    async def contents(self, tenant_key: str, target: Target) -> Contents:
        """List what is there now. Raises Unavailable, Damaged."""
        if target.place is not None:
            return await self._archive(target.place)
        if target.kind == "job":
            return await self._job(tenant_key, target)
        return await self._bundle(tenant_key, target)

    async def _archive(self, place: Place) -> Contents:
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
            lists = {
                shelf.blob(paths.submitted(target.name)): first,
                shelf.blob(paths.finished(target.name)): last,
            }
            async for info in self._blobs.list_blobs(shelf.container, shelf.blob(paths.job_prefix(target.name))):
                lists.get(info.name, rest).append((shelf.container, info))
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
