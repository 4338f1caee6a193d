"""Decide how a job ended, from what its workers stored and what the cluster still says, and record it once.

Done by whoever comes first: a GET, the API at its start, the reaper before a delete. Needs no memory of its own.
"""

from datetime import datetime, timedelta

import anyio.to_thread
import msgspec

from livecalc.audit.log import AuditLog
from livecalc.blobs.digest import sha256_of
from livecalc.cluster.port import Cluster
from livecalc.domain.errors import Damaged, NotFound, Reaping
from livecalc.domain.jobs import JobState
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.partitions import PartitionRecord
from livecalc.pipeline.partition import check_arrays, read_record
from livecalc.records.book import JobBook
from livecalc.records.ends import ClusterView, Stored, StoredPart, cancelled, failed, succeeded, why_it_ended
from livecalc.records.model import FinishedRecord, JobRecords, PartitionPlan, SubmittedRecord
from livecalc.telemetry.notices import notice

SUBMIT_GRACE = timedelta(seconds=60)
"""How long a recorded job may be unknown to the cluster: its submit may still be under way."""


class Collector:
    """Finishes jobs. Safe to run many times, and from many processes at once."""

    def __init__(
        self, book: JobBook, cluster: Cluster, audit: AuditLog, *, submit_grace: timedelta = SUBMIT_GRACE
    ) -> None:
        self._book = book
        self._cluster = cluster
        self._audit = audit
        self._submit_grace = submit_grace

    async def collect(self, tenant_key: str, submitted: SubmittedRecord) -> FinishedRecord | None:
        """Return how a job ended, recording it when nobody did; None while it may still run."""
        finished = await self._book.finished(tenant_key, submitted)
        if finished is not None:
            return finished
        return await self.conclude(tenant_key, submitted, await self.observe(submitted))

    async def observe(self, submitted: SubmittedRecord) -> ClusterView:
        """Ask the cluster about one job."""
        namespace = await _unless_gone(self._cluster, submitted.namespace)
        jobs = await self._cluster.list_jobs(submitted.namespace)
        pods = await self._cluster.list_pods(submitted.namespace)
        return ClusterView(
            job=next((job for job in jobs if job.name == submitted.job_id), None),
            pods=tuple(pod for pod in pods if pod.job == submitted.job_id),
            namespace_lives=namespace is not None and not namespace.terminating,
            now=await self._cluster.now(),
        )

    async def conclude(self, tenant_key: str, submitted: SubmittedRecord, view: ClusterView) -> FinishedRecord | None:
        """Record the end that blobs and cluster together show; None while it may still run."""
        if view.runs:
            return None
        if view.job is not None and view.job.reason == "Cancelled":
            return await self._finish(tenant_key, submitted, cancelled(submitted, view), view)
        stored = await self._stored(tenant_key, submitted)
        broken = next((part.record for part in stored.values() if part.record.state is JobState.FAILED), None)
        if broken is not None:
            end = failed(submitted, broken.error or "the model failed", view, stored)
        elif len(stored) == len(submitted.partitions):
            end = succeeded(submitted, stored, view)
        elif await self._book.is_asked_to_cancel(tenant_key, submitted):
            end = cancelled(submitted, view)
        else:
            reason = why_it_ended(submitted, view, self._submit_grace)
            if reason is None:
                return None
            end = failed(submitted, reason, view, stored)
        return await self._finish(tenant_key, submitted, end, view)

    async def settle(self, namespace: NamespaceRecord) -> list[JobRecords]:
        """Finish every job of a namespace that is about to go; what still runs is recorded as failed.

        A job whose records are damaged is left as it is, with a notice. Asks for pods, not for jobs: the cleanup
        worker has no right to read those. Raises Reaping when the namespace is gone.
        """
        settled: list[JobRecords] = []
        key = namespace.tenant_key
        pods = await self._cluster.list_pods(namespace.name)
        now = await self._cluster.now()
        await self.tidy(key, namespace.bucket_id, since=namespace.created_at)
        jobs = await self._book.jobs_of(key, namespace.bucket_id, since=namespace.created_at)
        await self._see_it_there(namespace)
        for submitted in jobs:
            try:
                end = await self._book.finished(key, submitted)
                if end is None:
                    own = tuple(pod for pod in pods if pod.job == submitted.job_id)
                    end = await self.conclude(key, submitted, ClusterView(pods=own, now=now))
            except Damaged as error:
                notice(f"job {submitted.job_id} is not settled: {error.detail}")
                end = None
            settled.append(JobRecords(submitted=submitted, finished=end))
        return settled

    async def _see_it_there(self, namespace: NamespaceRecord) -> None:
        """Raise Reaping unless a namespace is still there: then what was listed before is not of its successor's."""
        present = await _unless_gone(self._cluster, namespace.name)
        if present is None or present.uid != namespace.uid:
            raise Reaping(f"namespace {namespace.name} is gone: another reaper was faster")

    async def tidy(self, tenant_key: str, bucket_id: str | None = None, *, since: datetime | None = None) -> None:
        """Forget jobs of a bucket, or of all, whose submit was killed before they were whole."""
        before = await self._cluster.now() - self._submit_grace
        await self._book.forget_unopened(tenant_key, bucket_id, since=since, before=before)

    async def cancel(self, tenant_key: str, submitted: SubmittedRecord) -> FinishedRecord:
        """Record a job as cancelled, unless it has ended; the cluster's job is the caller's to stop."""
        view = await self.observe(submitted)
        finished = await self._book.finished(tenant_key, submitted) or await self.conclude(tenant_key, submitted, view)
        if finished is not None:
            return finished
        return await self._finish(tenant_key, submitted, cancelled(submitted, view), view)

    async def _finish(
        self, tenant_key: str, submitted: SubmittedRecord, end: FinishedRecord, view: ClusterView
    ) -> FinishedRecord:
        return await self._book.finish(tenant_key, submitted, await self._with_head(end, submitted), now=view.now)

    async def _with_head(self, end: FinishedRecord, submitted: SubmittedRecord) -> FinishedRecord:
        try:
            head = await self._audit.head(submitted.tenant_id)
        except Damaged as error:
            # What is wrong with the audit log is no reason to lose how a job ended.
            notice(f"job {submitted.job_id} is recorded without the audit log's head: {error.detail}")
            head = None
        return msgspec.structs.replace(end, audit_head=head)

    async def _stored(self, tenant_key: str, submitted: SubmittedRecord) -> Stored:
        stored: Stored = {}
        for plan in submitted.partitions:
            part = await self._partition(tenant_key, submitted, plan)
            if part is not None:
                stored[plan.index] = part
        return stored

    async def _partition(self, tenant_key: str, submitted: SubmittedRecord, plan: PartitionPlan) -> StoredPart | None:
        try:
            async with self._book.partition_file(tenant_key, submitted, plan.blob) as path:
                record = await anyio.to_thread.run_sync(read_record, path)
                if record.state is JobState.SUCCEEDED:
                    await anyio.to_thread.run_sync(check_arrays, path, record)
                digest = await anyio.to_thread.run_sync(sha256_of, path)
        except NotFound:
            return None
        except Damaged as error:
            return _damaged(submitted, plan, f"{plan.blob}: {error.detail}")
        if (record.job_id, record.first, record.stop) != (submitted.job_id, plan.first, plan.stop):
            return _damaged(
                submitted, plan, f"{plan.blob} is of {record.job_id}, scenarios {record.first}-{record.stop}"
            )
        return StoredPart(record=record, sha256=digest)


def _damaged(submitted: SubmittedRecord, plan: PartitionPlan, reason: str) -> StoredPart:
    record = PartitionRecord(
        job_id=submitted.job_id,
        index=plan.index,
        first=plan.first,
        stop=plan.stop,
        attempt=0,
        state=JobState.FAILED,
        error=f"stored result is damaged: {reason}",
        started_at=submitted.created_at,
        finished_at=submitted.created_at,
    )
    return StoredPart(record=record, sha256="")


async def _unless_gone(cluster: Cluster, namespace: str) -> NamespaceRecord | None:
    try:
        return await cluster.get_namespace(namespace)
    except NotFound:
        return None
