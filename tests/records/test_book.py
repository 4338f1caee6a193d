"""Records that somebody was killed at: what is half there is no job, and goes when nobody can be at it any more."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from lifecycle.stage import submitted_record

from livecalc.blobs.directory import DirectoryStore
from livecalc.domain.errors import AlreadyExists, NotFound
from livecalc.domain.jobs import JobState, new_job_id
from livecalc.domain.namespaces import NamespaceRecord, new_labels
from livecalc.records import paths
from livecalc.records.book import JobBook
from livecalc.records.model import FinishedRecord, SubmittedRecord

pytestmark = pytest.mark.anyio
KEY, RESULTS = "acme", "results-acme"
NOW = datetime(2026, 1, 25, 1, 0, tzinfo=UTC)


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncGenerator[DirectoryStore, None]:
    store = DirectoryStore(tmp_path)
    yield store
    await store.close()


@pytest.fixture
def book(blobs: DirectoryStore) -> JobBook:
    return JobBook(blobs)


def record(number: int = 1, *, at: datetime = NOW, bucket_id: str = "q4") -> SubmittedRecord:
    namespace = NamespaceRecord(
        name=f"livecalc-bucket-{bucket_id}",
        uid="u",
        resource_version="1",
        labels=new_labels(bucket_id, "acme"),
        created_at=at,
    )
    return submitted_record(namespace, new_job_id(at, number))


async def names(blobs: DirectoryStore) -> list[str]:
    return [info.name async for info in blobs.list_blobs(RESULTS)]


async def lose(blobs: DirectoryStore, name: str) -> None:
    await blobs.delete(RESULTS, name)


async def test_a_job_whose_opening_was_cut_off_is_none(blobs: DirectoryStore, book: JobBook) -> None:
    whole, half = record(1), record(2)
    await book.open_job(KEY, whole)
    await book.open_job(KEY, half)
    await lose(blobs, paths.submitted(half.job_id))
    assert await book.jobs_of(KEY, "q4") == [whole]
    with pytest.raises(NotFound):
        await book.submitted(KEY, half.job_id)


async def test_what_was_cut_off_goes_with_all_that_is_left_of_it(blobs: DirectoryStore, book: JobBook) -> None:
    whole, half = record(1), record(2)
    await book.open_job(KEY, whole)
    kept = await names(blobs)
    await book.open_job(KEY, half)
    await blobs.write(RESULTS, paths.task(half.job_id), b"grants")
    await blobs.write(RESULTS, half.partitions[0].blob, b"result")
    await lose(blobs, paths.submitted(half.job_id))
    await book.forget_unopened(KEY)
    assert await names(blobs) == kept


async def test_what_may_be_under_way_is_spared(blobs: DirectoryStore, book: JobBook) -> None:
    half = record(at=NOW)
    await book.open_job(KEY, half)
    await lose(blobs, paths.submitted(half.job_id))
    for since, before in ((None, NOW), (NOW + timedelta(seconds=1), None)):
        await book.forget_unopened(KEY, "q4", since=since, before=before)
        assert await names(blobs) == [paths.index("q4", half.job_id)]
    await book.forget_unopened(KEY, "q4", since=NOW, before=NOW + timedelta(seconds=1))
    assert await names(blobs) == []


async def test_another_bucket_is_left_alone(blobs: DirectoryStore, book: JobBook) -> None:
    half = record(bucket_id="q4-2")
    await book.open_job(KEY, half)
    await lose(blobs, paths.submitted(half.job_id))
    await book.forget_unopened(KEY, "q4")
    assert await names(blobs) == [paths.index("q4-2", half.job_id)]


async def test_a_job_frees_no_key_but_its_own(book: JobBook) -> None:
    first, other = record(1), record(2)
    for each in (first, other):
        await book.open_job(KEY, each)
        assert await book.take_key(KEY, each, "once") == first
    await book.drop_key(KEY, other, "once")
    assert await book.job_by_key(KEY, "q4", "once") == first
    for _ in range(2):
        await book.drop_key(KEY, first, "once")
        assert await book.job_by_key(KEY, "q4", "once") is None


async def test_an_id_that_another_bucket_has_is_not_listed_in_this_one(blobs: DirectoryStore, book: JobBook) -> None:
    await book.open_job(KEY, record(bucket_id="q3"))
    kept = await names(blobs)
    with pytest.raises(AlreadyExists):
        await book.open_job(KEY, record(bucket_id="q4"))
    assert await names(blobs) == kept


async def test_no_grants_are_left_of_a_job_that_has_ended(blobs: DirectoryStore, book: JobBook) -> None:
    job = record()
    await book.open_job(KEY, job)
    await blobs.write(RESULTS, paths.task(job.job_id), b"grants")
    end = FinishedRecord(job_id=job.job_id, state=JobState.FAILED, error="x", finished_at="2026-01-25T01:00:00Z")
    assert await book.finish(KEY, job, end, now=NOW) == end
    later = msgspec.structs.replace(end, error="y")
    assert await book.finish(KEY, job, later, now=NOW) == end
    assert paths.task(job.job_id) not in await names(blobs)
