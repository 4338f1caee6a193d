"""Which archives a tenant has, by their manifests, and what else lies where they do."""

from msgspec import Struct

from livecalc.blobs.port import BlobStore
from livecalc.blobs.streams import closing
from livecalc.domain.buckets import is_bucket_id
from livecalc.domain.errors import Damaged, NotFound
from livecalc.lifecycle.archive.places import (
    INTERNAL,
    MANIFEST,
    Place,
    bucket_places,
    first_path,
    is_archive_timestamp,
    path_order,
    split_name,
)


class Stray(Struct, frozen=True, kw_only=True):
    """Blobs in a folder that has no manifest."""

    path: str
    """The folder, `{bucket_id}/{timestamp}`; less for what lies higher."""
    first: str
    count: int


class Folders(Struct, frozen=True, kw_only=True):
    """What was found."""

    archives: list[Place]
    """By bucket and time."""
    strays: list[Stray]


async def list_folders(blobs: BlobStore, prefix: str, tenant_key: str, bucket_id: str | None = None) -> Folders:
    """List the archives of a bucket, or of a whole tenant, and the blobs that belong to none. Raises Unavailable."""
    archives: list[Place] = []
    strays: list[Stray] = []
    if bucket_id is not None and not is_bucket_id(bucket_id):
        return Folders(archives=[], strays=[])
    for top in bucket_places(prefix, tenant_key, bucket_id):
        base = top.folder if bucket_id is None else top.folder.removesuffix(f"{bucket_id}/")
        counts: dict[str, tuple[str, int]] = {}
        whole: set[str] = set()
        async with closing(blobs.list_blobs(top.container, top.folder)) as listing:
            async for info in listing:
                name = info.name.removeprefix(base)
                if name.startswith(INTERNAL):
                    continue
                path = "/".join(name.split("/")[:2]) if name.count("/") > 1 else name.rpartition("/")[0]
                first, number = counts.get(path, (name, 0))
                counts[path] = first, number + 1
                if split_name(name) == (path, MANIFEST):
                    whole.add(path)
        archives += [Place(container=top.container, folder=f"{base}{path}/") for path in whole]
        strays += [
            Stray(path=path, first=first, count=number) for path, (first, number) in counts.items() if path not in whole
        ]
    return Folders(archives=sorted(archives, key=lambda place: path_order(place.path)), strays=strays)


async def list_later(blobs: BlobStore, place: Place) -> list[Place]:
    """List the archives of the same bucket and second with a higher number, in their order. Raises Unavailable."""
    base = place.folder.removesuffix(f"{place.path}/")
    found: list[Place] = []
    async with closing(blobs.list_blobs(place.container, base + first_path(place.path))) as listing:
        async for info in listing:
            path, inner = split_name(info.name.removeprefix(base))
            if inner == MANIFEST and path_order(path) > path_order(place.path):
                found.append(Place(container=place.container, folder=f"{base}{path}/"))
    return sorted(found, key=lambda each: path_order(each.path))


async def find_place(blobs: BlobStore, prefix: str, tenant_key: str, bucket_id: str, timestamp: str) -> Place:
    """Find the archive `{bucket_id}/{timestamp}`, wherever it lies. Raises NotFound, Unavailable."""
    if is_bucket_id(bucket_id) and is_archive_timestamp(timestamp):
        for place in bucket_places(prefix, tenant_key, f"{bucket_id}/{timestamp}"):
            try:
                await blobs.stat(place.container, place.blob(MANIFEST))
            except NotFound:
                continue
            except Damaged:
                pass  # it is there, whatever became of it
            return place
    raise NotFound(f"there is no archive {bucket_id[:60]}/{timestamp[:60]}")
