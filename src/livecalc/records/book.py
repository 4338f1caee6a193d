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
from livecalc.domain.buckets import is_recompute
from livecalc.domain.errors import AlreadyExists, Damaged, NotFound
from livecalc.domain.jobs import RANDOM_BITS, is_job_id, new_job_id
from livecalc.records import paths
from livecalc.records.model import FinishedRecord, RecomputedRecord, SubmittedRecord
from livecalc.telemetry.notices import notice

T = TypeVar("T", bound=Struct)


class JobBook:
    """The records of all jobs of all tenants; every method takes the tenant's key."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def open_job(self, tenant_key: str, record: SubmittedRecord) -> None:
        """Remember a job that is about to be created. Raises AlreadyExists when the id is taken."""
        container = paths.results_container(tenant_key)
        index = paths.index(record.bucket_id, record.job_id)
        # The index first: whoever is killed between the two leaves what `forget_unopened` finds.
        await self._blobs.write(container, index, b"")
        try:
            await self._write(container, paths.submitted(record.job_id), record)
        except AlreadyExists:
            await self._forget(container, index)
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

    async def drop_key(self, tenant_key: str, bucket_id: str, submit_key: str) -> None:
        """Free a key whose job came to nothing."""
        await self._forget(paths.results_container(tenant_key), _key_path(bucket_id, submit_key))

    async def submitted(self, tenant_key: str, job_id: str) -> SubmittedRecord:
        """Read what was asked. Raises NotFound, Damaged."""
        try:
            return await self._read(tenant_key, paths.submitted(job_id), SubmittedRecord)
        except NotFound:
            raise NotFound(f"job {job_id} does not exist") from None

    async def finished(self, tenant_key: str, job_id: str) -> FinishedRecord | None:
        """Read how a job ended; None while nobody has recorded it. Raises Damaged."""
        try:
            return await self._read(tenant_key, paths.finished(job_id), FinishedRecord)
        except NotFound:
            return None

    async def finish(self, tenant_key: str, record: FinishedRecord) -> FinishedRecord:
        """Record how a job ended, once: the first record stands, and is what this returns."""
        container = paths.results_container(tenant_key)
        # The task first: it holds grants, and nobody comes back to a job that has ended.
        await self._forget(container, paths.task(record.job_id))
        try:
            await self._write(container, paths.finished(record.job_id), record)
        except AlreadyExists:
            return await self._read(tenant_key, paths.finished(record.job_id), FinishedRecord)
        return record

    async def ask_to_cancel(self, tenant_key: str, job_id: str) -> None:
        """Remember, before a job is stopped, that this is why it ends."""
        with suppress(AlreadyExists):
            await self._blobs.write(paths.results_container(tenant_key), paths.cancelled(job_id), b"")

    async def is_asked_to_cancel(self, tenant_key: str, job_id: str) -> bool:
        """Tell whether somebody asked to cancel a job."""
        return await self._is_there(paths.results_container(tenant_key), paths.cancelled(job_id))

    async def jobs_of(self, tenant_key: str, bucket_id: str, *, since: datetime | None = None) -> list[SubmittedRecord]:
        """Read the jobs of a bucket, oldest first; `since` leaves out those submitted before, without reading them.

        A damaged record is left out with a notice.
        """
        prefix = paths.bucket_prefix(bucket_id)
        after = "" if since is None else paths.index(bucket_id, _last_id_before(since))
        ids = [job_id async for bucket, job_id in self._index(tenant_key, prefix, after) if bucket == bucket_id]
        return await self._submitted_of(tenant_key, ids)

    async def jobs(self, tenant_key: str) -> list[SubmittedRecord]:
        """Read all jobs of a tenant but recomputations, oldest first. A damaged record is left out with a notice."""
        ids = [job_id async for bucket, job_id in self._index(tenant_key, paths.BUCKETS) if not is_recompute(bucket)]
        return await self._submitted_of(tenant_key, ids)

    async def newest_first(
        self, tenant_key: str, bucket_id: str | None = None, *, job_prefix: str = ""
    ) -> AsyncGenerator[SubmittedRecord, None]:
        """Read the jobs of a bucket, or all but recomputations, one by one, the newest first.

        A damaged record is left out with a notice.
        """
        prefix = paths.BUCKETS if bucket_id is None else paths.bucket_prefix(bucket_id)
        ids = [
            job_id
            async for bucket, job_id in self._index(tenant_key, prefix)
            if job_id.startswith(job_prefix) and (bucket == bucket_id or not is_recompute(bucket))
        ]
        for job_id in sorted(ids, reverse=True):
            for record in await self._submitted_of(tenant_key, [job_id]):
                yield record

    async def forget_job(self, tenant_key: str, record: SubmittedRecord) -> None:
        """Delete everything that is remembered of a job that came to nothing, or of a recomputation's."""
        await self._forget_all(paths.results_container(tenant_key), record.bucket_id, record.job_id)

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
        container = paths.results_container(tenant_key)
        prefix = paths.BUCKETS if bucket_id is None else paths.bucket_prefix(bucket_id)
        after = "" if bucket_id is None or since is None else paths.index(bucket_id, _last_id_before(since))
        last = None if before is None else _last_id_before(before)
        async for bucket, job_id in self._index(tenant_key, prefix, after):
            if (last is None or job_id <= last) and not await self._is_there(container, paths.submitted(job_id)):
                await self._forget_all(container, bucket, job_id)

    async def add_recomputation(self, tenant_key: str, record: RecomputedRecord) -> None:
        """Remember that a job was recomputed, and what came of it."""
        name = paths.recomputed(record.job_id, record.at.replace(":", ""), secrets.token_hex(4))
        await self._write(paths.results_container(tenant_key), name, record)

    async def recomputations(self, tenant_key: str, job_id: str) -> list[RecomputedRecord]:
        """Read the recomputations of a job, oldest first."""
        listing = self._blobs.list_blobs(paths.results_container(tenant_key), paths.recomputed_prefix(job_id))
        return [await self._read(tenant_key, info.name, RecomputedRecord) async for info in listing]

    @asynccontextmanager
    async def partition_file(self, tenant_key: str, name: str) -> AsyncGenerator[Path, None]:
        """Have a partition's blob as a local file while the context lasts. Raises NotFound."""
        async with scratch_folder() as folder:
            path = folder / "partition.zip"
            async with await anyio.open_file(path, "wb") as file:
                async for chunk in self._blobs.read(paths.results_container(tenant_key), name):
                    await file.write(chunk)
            yield path

    async def _index(self, tenant_key: str, prefix: str, after: str = "") -> AsyncIterator[tuple[str, str]]:
        async for info in self._blobs.list_blobs(paths.results_container(tenant_key), prefix, after=after):
            bucket, _, job_id = info.name.removeprefix(paths.BUCKETS).partition("/")
            if is_job_id(job_id):
                yield bucket, job_id

    async def _submitted_of(self, tenant_key: str, job_ids: list[str]) -> list[SubmittedRecord]:
        records: list[SubmittedRecord] = []
        for job_id in job_ids:
            try:
                records.append(await self.submitted(tenant_key, job_id))
            except NotFound:
                continue  # it is being forgotten, or was by somebody who was killed at it: its index goes last
            except Damaged as error:
                notice(f"job {job_id} is left out: {error.detail}")
        return sorted(records, key=lambda record: (record.created_at, record.job_id))

    async def _write(self, container: str, name: str, record: Struct) -> None:
        await self._blobs.write(container, name, msgspec.json.format(msgspec.json.encode(record), indent=1))

    async def _read(self, tenant_key: str, name: str, kind: type[T]) -> T:
        raw = await read_all(self._blobs, paths.results_container(tenant_key), name)
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.DecodeError as error:
            raise Damaged(f"record {name} cannot be read: {error}") from None

    async def _forget_all(self, container: str, bucket_id: str, job_id: str) -> None:
        """What says that there is such a job goes first, and what says where to look for the rest goes last."""
        await self._forget(container, paths.submitted(job_id))
        names = [info.name async for info in self._blobs.list_blobs(container, paths.job_prefix(job_id))]
        for name in [*names, paths.index(bucket_id, job_id)]:
            await self._forget(container, name)

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


def _last_id_before(moment: datetime) -> str:
    return new_job_id(moment - timedelta(seconds=1), (1 << RANDOM_BITS) - 1)


def _key_path(bucket_id: str, submit_key: str) -> str:
    return paths.submit_key(bucket_id, hashlib.sha256(submit_key.encode()).hexdigest())


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
