"""What a look keeps of a listing: of each archive and job a little, however many blobs it has, and the right dates."""

import tracemalloc
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from livecalc.blobs.port import BlobInfo, BlobStore
from livecalc.domain.errors import NotFound
from livecalc.lifecycle.archive.places import OWNER, RETAIN_UNTIL
from livecalc.lifecycle.retention.look import see_archives, see_jobs
from livecalc.lifecycle.retention.seen import Stored

pytestmark = pytest.mark.anyio
FOLDERS = 100
BLOBS = 60
"""In each folder."""
KIB_A_FOLDER = 4
"""The most that one may take, with the task that looks at it; its blobs alone are 35 KiB."""
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
JOB = "j-000000000001"


class Listed:
    """A store of which only listings are asked, each made while it is read."""

    def __init__(self, container: str, blobs: Iterable[BlobInfo]) -> None:
        self._container = container
        self._blobs = blobs

    async def list_blobs(self, container: str, prefix: str = "", *, after: str = "") -> AsyncIterator[BlobInfo]:
        """List them in the order in which they come."""
        assert after == ""
        for info in self._blobs if container == self._container else ():
            if info.name.startswith(prefix):
                yield info


def store(container: str, blobs: Iterable[BlobInfo]) -> BlobStore:
    return cast("BlobStore", Listed(container, blobs))


def blob(name: str, day: int = 0, *, says: str | None = None, locked: int | None = None) -> BlobInfo:
    return BlobInfo(
        name=name,
        size=10,
        sha256=f"{day:064x}",
        created_at=BEGAN + timedelta(days=day),
        metadata={OWNER: "uid-of-its-namespace"} if says is None else {RETAIN_UNTIL: says},
        locked_until=None if locked is None else BEGAN + timedelta(days=locked),
    )


def blobs_of(folders: int, start: str, each: int) -> Iterator[BlobInfo]:
    for folder in range(folders):
        for number in range(each):
            yield blob(f"{start.format(folder)}logs/{number:04d}", number, says="2026-02-01T00:00:00Z", locked=number)


async def test_a_look_at_archives_keeps_little_of_each() -> None:
    listing = blobs_of(FOLDERS, "b-{:05d}/20260101-000000/", BLOBS)
    tracemalloc.start()
    seen = await see_archives(store("diagnostics-acme", listing), "diagnostics", "acme")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(seen) == FOLDERS
    assert {archive.stored for archive in seen} == {
        Stored(blobs=BLOBS, bytes=10 * BLOBS, locked_until=BEGAN + timedelta(days=BLOBS - 1))
    }
    assert peak < FOLDERS * KIB_A_FOLDER * 1024


async def test_a_look_at_jobs_keeps_little_of_each() -> None:
    listing = blobs_of(FOLDERS, "jobs/j-{:012d}/", BLOBS)
    tracemalloc.start()
    seen = await see_jobs(store("results-acme", listing), "acme")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(seen) == FOLDERS
    assert {job.stored.bytes for job in seen} == {10 * BLOBS}
    assert peak < FOLDERS * KIB_A_FOLDER * 1024


async def test_an_archive_is_what_its_blobs_are_together() -> None:
    folder = "b/20260101-000000/"
    blobs = [
        blob(f"{folder}a", says="2026-03-01T00:00:00Z", locked=9),
        blob(f"{folder}b", says="2027-03-01T00:00:00Z"),
        blob(f"{folder}c", locked=8),
        blob("b/20260101-000000-2/a", says="some day"),
        blob("b/20260101-000000-3/a", says="2025-03-01T00:00:00Z"),
        blob("b/20260101-000000-3/b"),
        blob("b/of-no-archive"),
    ]
    whole, unreadable, early = await see_archives(store("diagnostics-acme", blobs), "diagnostics", "acme")
    assert whole.stored == Stored(blobs=3, bytes=30, locked_until=BEGAN + timedelta(days=9))
    assert (whole.kept_until, whole.unknown) == (datetime(2027, 3, 1, tzinfo=UTC), "")
    assert unreadable.unknown == "what it says of its retention cannot be read"
    assert early.kept_until == BEGAN + timedelta(days=30), "what it says can only make that longer"
    assert not any(archive.has_manifest for archive in (whole, unreadable, early))


@pytest.mark.parametrize(
    ("stored", "day"),
    [
        ({"partitions/0-a": 9, "finished.json": 3, "submitted.json": 5, "": 7}, 3),
        ({"partitions/0-a": 9, "": 7}, 7),
        ({"partitions/0-a": 9, "partitions/1-a": 8}, 9),
        ({"": 4}, 4),
    ],
)
async def test_a_job_is_kept_since_the_best_date_that_is_left(stored: dict[str, int], day: int) -> None:
    blobs = [blob(f"jobs/{JOB}/{name}" if name else f"buckets/b/{JOB}", at) for name, at in stored.items()]

    class Unrecorded(Listed):
        """What was asked goes before it is read."""

        async def read(self, _container: str, _name: str) -> AsyncIterator[bytes]:
            for _ in ():
                yield b""
            raise NotFound("it is gone")

    blobs_store = cast("BlobStore", Unrecorded("results-acme", blobs))
    [job] = await see_jobs(blobs_store, "acme")
    assert job.kept_until == BEGAN + timedelta(days=day + 30)
    assert job.bucket_id == ("b" if "" in stored else "")
    assert job.stored == Stored(blobs=len(stored), bytes=10 * len(stored))
