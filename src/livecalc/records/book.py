"""Write and read the records of jobs. Knows nothing of running them; `collect` decides how a job ended."""

import secrets
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import msgspec
from msgspec import Struct

from livecalc.blobs.port import BlobStore, read_all
from livecalc.domain.buckets import is_recompute
from livecalc.domain.errors import AlreadyExists, Damaged, NotFound
from livecalc.domain.jobs import is_job_id
from livecalc.records import paths
from livecalc.records.model import FinishedRecord, RecomputedRecord, SubmittedRecord

T = TypeVar("T", bound=Struct)


class JobBook:
    """The records of all jobs of all tenants; every method takes the tenant's key."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def open_job(self, tenant_key: str, record: SubmittedRecord) -> None:
        """Remember a job that is about to be created. Raises AlreadyExists when the id is taken."""
        container = paths.results_container(tenant_key)
        await self._write(container, paths.submitted(record.job_id), record)
        await self._blobs.write(container, paths.index(record.bucket_id, record.job_id), b"")

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
        try:
            await self._write(container, paths.finished(record.job_id), record)
        except AlreadyExists:
            record = await self._read(tenant_key, paths.finished(record.job_id), FinishedRecord)
        await self._forget(container, paths.task(record.job_id))
        return record

    async def jobs_of(self, tenant_key: str, bucket_id: str) -> list[SubmittedRecord]:
        """Read all jobs of a bucket, oldest first."""
        prefix = paths.bucket_prefix(bucket_id)
        ids = [job_id async for bucket, job_id in self._index(tenant_key, prefix) if bucket == bucket_id]
        return await self._submitted_of(tenant_key, ids)

    async def jobs(self, tenant_key: str) -> list[SubmittedRecord]:
        """Read all jobs of a tenant but recomputations, oldest first."""
        ids = [job_id async for bucket, job_id in self._index(tenant_key, paths.BUCKETS) if not is_recompute(bucket)]
        return await self._submitted_of(tenant_key, ids)

    async def forget_job(self, tenant_key: str, record: SubmittedRecord) -> None:
        """Delete everything that is remembered of a recomputation's job; its index entry goes last."""
        container = paths.results_container(tenant_key)
        names = [info.name async for info in self._blobs.list_blobs(container, paths.job_prefix(record.job_id))]
        for name in [*names, paths.index(record.bucket_id, record.job_id)]:
            await self._forget(container, name)

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
        with tempfile.TemporaryDirectory(prefix="livecalc-") as folder:
            path = Path(folder) / "partition.zip"
            async with await anyio.open_file(path, "wb") as file:
                async for chunk in self._blobs.read(paths.results_container(tenant_key), name):
                    await file.write(chunk)
            yield path

    async def _index(self, tenant_key: str, prefix: str) -> AsyncIterator[tuple[str, str]]:
        async for info in self._blobs.list_blobs(paths.results_container(tenant_key), prefix):
            bucket, _, job_id = info.name.removeprefix(paths.BUCKETS).partition("/")
            if is_job_id(job_id):
                yield bucket, job_id

    async def _submitted_of(self, tenant_key: str, job_ids: list[str]) -> list[SubmittedRecord]:
        records = [await self.submitted(tenant_key, job_id) for job_id in job_ids]
        return sorted(records, key=lambda record: (record.created_at, record.job_id))

    async def _write(self, container: str, name: str, record: Struct) -> None:
        await self._blobs.write(container, name, msgspec.json.format(msgspec.json.encode(record), indent=1))

    async def _read(self, tenant_key: str, name: str, kind: type[T]) -> T:
        raw = await read_all(self._blobs, paths.results_container(tenant_key), name)
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.DecodeError as error:
            raise Damaged(f"record {name} cannot be read: {error}") from None

    async def _forget(self, container: str, name: str) -> None:
        try:
            await self._blobs.delete(container, name)
        except NotFound:
            return
