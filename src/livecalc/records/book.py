"""Write and read the records of jobs. Knows nothing of running them; `collect` decides how a job ended."""

import hashlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import anyio
import msgspec
from msgspec import Struct

from livecalc.blobs.port import BlobStore, read_all
from livecalc.blobs.scratch import scratch_folder
from livecalc.blobs.stored import decode_stored
from livecalc.domain.buckets import is_recompute
from livecalc.domain.errors import AlreadyExists, Damaged, NotFound
from livecalc.domain.jobs import RANDOM_BITS, is_job_id, new_job_id
from livecalc.domain.retention import Retention, retain_until
from livecalc.domain.shelves import Shelf, bundle_shelf, result_shelf
from livecalc.records import paths
from livecalc.records.bounded import map_bounded
from livecalc.records.model import FinishedRecord, RecomputedRecord, SubmittedRecord
from livecalc.telemetry.notices import notice

T = TypeVar("T", bound=Struct)
_AT_ONCE = 8

RESULT_LIMIT = 5_000 << 20
"""Bytes of a partition's blob: the largest that one PUT can create on Azure."""


class JobBook:
    """The records of all jobs of all tenants; every method takes the tenant's key.

    A job's records and results lie where its retention says; the key of a submit, and the task with its grants, which
    are temporary, always with the standard ones.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def open_job(self, tenant_key: str, record: SubmittedRecord) -> None:
        """Remember a job that is about to be created. Raises AlreadyExists when the id is taken."""
        shelf = result_shelf(tenant_key, record.retention)
        index = shelf.blob(paths.index(record.bucket_id, record.job_id))
        # The index first: whoever is killed between the two leaves what `forget_unopened` finds.
        await self._blobs.write(shelf.container, index, b"")
        try:
            await self._write(shelf, paths.submitted(record.job_id), record)
        except AlreadyExists:
            await self._forget(shelf.container, index)
            raise

    async def take_key(self, tenant_key: str, record: SubmittedRecord, submit_key: str) -> SubmittedRecord:
        """Give a key to a job; returns the job that has it, which is the first that asked."""
        container, name = paths.results_container(tenant_key), _key_path(record.bucket_id, submit_key)
        try:
            await self._blobs.write(container, name, record.job_id.encode())
        except AlreadyExists:
            return await self.job_by_key(tenant_key, record.bucket_id, submit_key) or record
        return record

    async def job_by_key(self, tenant_key: str, bucket_id: str, submit_key: str) -> SubmittedRecord | None:
        """Find the job that has a key."""
        container, name = paths.results_container(tenant_key), _key_path(bucket_id, submit_key)
        try:
            return await self.submitted(tenant_key, (await read_all(self._blobs, container, name)).decode())
        except NotFound:
            return None

    async def drop_key(self, tenant_key: str, record: SubmittedRecord, submit_key: str) -> None:
        """Free the key of a job that came to nothing; one that another job has stays."""
        container, name = paths.results_container(tenant_key), _key_path(record.bucket_id, submit_key)
        with suppress(NotFound):
            if await read_all(self._blobs, container, name) == record.job_id.encode():
                await self._forget(container, name)

    async def submitted(self, tenant_key: str, job_id: str) -> SubmittedRecord:
        """Read what was asked. Raises NotFound, Damaged."""
        for shelf in _shelves(tenant_key):
            with suppress(NotFound):
                return await self._read(shelf, paths.submitted(job_id), SubmittedRecord)
        raise NotFound(f"job {job_id} does not exist")

    async def finished(self, tenant_key: str, submitted: SubmittedRecord) -> FinishedRecord | None:
        """Read how a job ended; None while nobody has recorded it. Raises Damaged."""
        try:
            return await self._read(_shelf_of(tenant_key, submitted), paths.finished(submitted.job_id), FinishedRecord)
        except NotFound:
            return None

    async def finish(
        self, tenant_key: str, submitted: SubmittedRecord, record: FinishedRecord, *, now: datetime
    ) -> FinishedRecord:
        """Record how a job ended, once: the first record stands, and is what this returns.

        Before a regulatory job is recorded, all that is stored of it is locked for as long as an archive of now is.
        """
        # The task first: it holds grants, and nobody comes back to a job that has ended.
        await self._forget(paths.results_container(tenant_key), paths.task(record.job_id))
        shelf, until = _shelf_of(tenant_key, submitted), None
        if submitted.retention == Retention.REGULATORY:
            until = retain_until(Retention.REGULATORY, now)
            await self.lock(tenant_key, submitted, until)
        try:
            await self._write(shelf, paths.finished(record.job_id), record, locked_until=until)
        except AlreadyExists:
            return await self._read(shelf, paths.finished(record.job_id), FinishedRecord)
        return record

    async def lock(self, tenant_key: str, submitted: SubmittedRecord, until: datetime) -> None:
        """Lock all that is stored of a regulatory job, and its bundle, until then or longer. Raises Unavailable."""
        shelf = _shelf_of(tenant_key, submitted)
        listing = self._blobs.list_blobs(shelf.container, shelf.blob(paths.job_prefix(submitted.job_id)))
        bundle = bundle_shelf(tenant_key, submitted.retention).blob(submitted.model_bundle_hash)
        index = shelf.blob(paths.index(submitted.bucket_id, submitted.job_id))
        names = [index, bundle, *[info.name async for info in listing]]
        await map_bounded(lambda name: self._blobs.lock(shelf.container, name, until), names, at_once=_AT_ONCE)

    async def ask_to_cancel(self, tenant_key: str, submitted: SubmittedRecord) -> None:
        """Remember, before a job is stopped, that this is why it ends."""
        shelf = _shelf_of(tenant_key, submitted)
        with suppress(AlreadyExists):
            await self._blobs.write(shelf.container, shelf.blob(paths.cancelled(submitted.job_id)), b"")

    async def is_asked_to_cancel(self, tenant_key: str, submitted: SubmittedRecord) -> bool:
        """Tell whether somebody asked to cancel a job."""
        shelf = _shelf_of(tenant_key, submitted)
        return await self._is_there(shelf.container, shelf.blob(paths.cancelled(submitted.job_id)))

    async def jobs_of(self, tenant_key: str, bucket_id: str, *, since: datetime | None = None) -> list[SubmittedRecord]:
        """Read the jobs of a bucket, oldest first; `since` leaves out those submitted before, without reading them.

        A damaged record is left out with a notice.
        """
        prefix = paths.bucket_prefix(bucket_id)
        after = "" if since is None else paths.index(bucket_id, _last_id_before(since))
        found = [each async for each in self._index(tenant_key, prefix, after) if each.bucket_id == bucket_id]
        return await self._submitted_of(found)

    async def promised_job(self, tenant_key: str, bucket_id: str, *, since: datetime) -> str | None:
        """Name a job of a bucket that lies where regulatory ones do, whether its records can be read or not."""
        shelf = result_shelf(tenant_key, Retention.REGULATORY)
        after, prefix = paths.index(bucket_id, _last_id_before(since)), paths.bucket_prefix(bucket_id)
        async for info in self._blobs.list_blobs(shelf.container, shelf.blob(prefix), after=shelf.blob(after)):
            return info.name.rpartition("/")[2]
        return None

    async def jobs(self, tenant_key: str) -> list[SubmittedRecord]:
        """Read all jobs of a tenant but recomputations, oldest first. A damaged record is left out with a notice."""
        found = [each async for each in self._index(tenant_key, paths.BUCKETS) if not is_recompute(each.bucket_id)]
        return await self._submitted_of(found)

    async def newest_first(
        self, tenant_key: str, bucket_id: str | None = None, *, job_prefix: str = ""
    ) -> AsyncGenerator[SubmittedRecord, None]:
        """Read the jobs of a bucket, or all but recomputations, one by one, the newest first.

        A damaged record is left out with a notice.
        """
        prefix = paths.BUCKETS if bucket_id is None else paths.bucket_prefix(bucket_id)
        found = [
            each
            async for each in self._index(tenant_key, prefix)
            if each.job_id.startswith(job_prefix) and (each.bucket_id == bucket_id or not is_recompute(each.bucket_id))
        ]
        for each in sorted(found, key=lambda each: each.job_id, reverse=True):
            for record in await self._submitted_of([each]):
                yield record

    async def forget_job(self, tenant_key: str, record: SubmittedRecord) -> None:
        """Delete everything that is remembered of a job that came to nothing, or of a recomputation's.

        A regulatory job that has ended is locked, and stays.
        """
        if record.retention == Retention.REGULATORY and await self.finished(tenant_key, record) is not None:
            return
        await self._forget_all(tenant_key, _Entry(_shelf_of(tenant_key, record), record.bucket_id, record.job_id))

    async def forget_unopened(
        self,
        tenant_key: str,
        bucket_id: str | None = None,
        *,
        since: datetime | None = None,
        before: datetime | None = None,
    ) -> None:
        """Delete what is left of jobs whose opening or forgetting was cut off by a kill; by default in all buckets.

        `since` (of one bucket) and `before` narrow it to those submitted between.
        """
        prefix = paths.BUCKETS if bucket_id is None else paths.bucket_prefix(bucket_id)
        after = "" if bucket_id is None or since is None else paths.index(bucket_id, _last_id_before(since))
        last = None if before is None else _last_id_before(before)
        async for each in self._index(tenant_key, prefix, after):
            submitted = each.shelf.blob(paths.submitted(each.job_id))
            if (last is None or each.job_id <= last) and not await self._is_there(each.shelf.container, submitted):
                await self._forget_all(tenant_key, each)

    async def add_recomputation(self, tenant_key: str, submitted: SubmittedRecord, record: RecomputedRecord) -> None:
        """Remember that a job was recomputed, and what came of it."""
        name = paths.recomputed(record.job_id, record.at.replace(":", ""), secrets.token_hex(4))
        await self._write(_shelf_of(tenant_key, submitted), name, record)

    async def recomputations(self, tenant_key: str, submitted: SubmittedRecord) -> list[RecomputedRecord]:
        """Read the recomputations of a job, oldest first."""
        shelf = _shelf_of(tenant_key, submitted)
        listing = self._blobs.list_blobs(shelf.container, shelf.blob(paths.recomputed_prefix(submitted.job_id)))
        names = [info.name.removeprefix(shelf.prefix) async for info in listing]
        return [await self._read(shelf, name, RecomputedRecord) for name in names]

    @asynccontextmanager
    async def partition_file(
        self, tenant_key: str, submitted: SubmittedRecord, name: str
    ) -> AsyncGenerator[Path, None]:
        """Have the blob of a partition of a job as a local file while the context lasts.

        Raises NotFound, and Damaged for one that no worker of ours has made.
        """
        shelf = _shelf_of(tenant_key, submitted)
        size = (await self._blobs.stat(shelf.container, shelf.blob(name))).size
        if size > RESULT_LIMIT:
            raise Damaged(f"blob {name} has {size:,} bytes, more than a worker may store")
        async with scratch_folder() as folder:
            path = folder / "partition.zip"
            async with await anyio.open_file(path, "wb") as file:
                async for chunk in self._blobs.read(shelf.container, shelf.blob(name)):
                    await file.write(chunk)
            yield path

    async def _index(self, tenant_key: str, prefix: str, after: str = "") -> "AsyncIterator[_Entry]":
        for shelf in _shelves(tenant_key):
            last = shelf.blob(after) if after else ""
            async for info in self._blobs.list_blobs(shelf.container, shelf.blob(prefix), after=last):
                bucket, _, job_id = info.name.removeprefix(shelf.blob(paths.BUCKETS)).partition("/")
                if is_job_id(job_id):
                    yield _Entry(shelf, bucket, job_id)

    async def _submitted_of(self, entries: "list[_Entry]") -> list[SubmittedRecord]:
        records: list[SubmittedRecord] = []
        for each in entries:
            try:
                records.append(await self._read(each.shelf, paths.submitted(each.job_id), SubmittedRecord))
            except NotFound:
                continue  # it is being forgotten, or was by somebody who was killed at it: its index goes last
            except Damaged as error:
                notice(f"job {each.job_id} is left out: {error.detail}")
        return sorted(records, key=lambda record: (record.created_at, record.job_id))

    async def _write(self, shelf: Shelf, name: str, record: Struct, *, locked_until: datetime | None = None) -> None:
        content = msgspec.json.format(msgspec.json.encode(record), indent=1)
        await self._blobs.write(shelf.container, shelf.blob(name), content, locked_until=locked_until)

    async def _read(self, shelf: Shelf, name: str, kind: type[T]) -> T:
        raw = await read_all(self._blobs, shelf.container, shelf.blob(name))
        return decode_stored(raw, kind, f"record {name}")

    async def _forget_all(self, tenant_key: str, job: "_Entry") -> None:
        """What says that there is such a job goes first, and what says where to look for the rest goes last."""
        shelf = job.shelf
        await self._forget(shelf.container, shelf.blob(paths.submitted(job.job_id)))
        await self._forget(paths.results_container(tenant_key), paths.task(job.job_id))
        listing = self._blobs.list_blobs(shelf.container, shelf.blob(paths.job_prefix(job.job_id)))
        names = [info.name async for info in listing]
        for name in [*names, shelf.blob(paths.index(job.bucket_id, job.job_id))]:
            await self._forget(shelf.container, name)

    async def _is_there(self, container: str, name: str) -> bool:
        try:
            await self._blobs.stat(container, name)
        except NotFound:
            return False
        return True

    async def _forget(self, container: str, name: str) -> None:
        try:
            await self._blobs.delete(container, name)
        except NotFound:
            return


class _Entry(Struct, frozen=True):
    """What the index of a shelf says: there is a job of a bucket."""

    shelf: Shelf
    bucket_id: str
    job_id: str


def _shelf_of(tenant_key: str, submitted: SubmittedRecord) -> Shelf:
    return result_shelf(tenant_key, submitted.retention)


def _shelves(tenant_key: str) -> list[Shelf]:
    """Where jobs of a tenant may lie: those of standard retention, and then the others."""
    return [result_shelf(tenant_key, retention) for retention in (Retention.STANDARD, Retention.REGULATORY)]


def _last_id_before(moment: datetime) -> str:
    return new_job_id(moment - timedelta(seconds=1), (1 << RANDOM_BITS) - 1)


def _key_path(bucket_id: str, submit_key: str) -> str:
    return paths.submit_key(bucket_id, hashlib.sha256(submit_key.encode()).hexdigest())
