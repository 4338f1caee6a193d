"""Decide how a job ended, from what its workers stored and what the cluster still says, and record it once.

Done by whoever comes first: a GET, the API at its start, the reaper before a delete. Needs no memory of its own.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import anyio.to_thread
import msgspec
from msgspec import Struct

from livecalc.audit.log import AuditLog
from livecalc.cluster.port import Cluster, ClusterJob, PodRecord, Termination
from livecalc.domain.errors import Damaged, NotFound, Reaping
from livecalc.domain.jobs import JobState
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.partitions import PartitionRecord, join_outputs
from livecalc.domain.resulthash import combine, output_digest
from livecalc.domain.tasks import read_statement
from livecalc.domain.timestamps import format_timestamp, parse_timestamp
from livecalc.domain.violations import parse_violations
from livecalc.pipeline.partition import check_arrays, read_record
from livecalc.records.book import JobBook
from livecalc.records.model import FinishedRecord, PartitionPlan, SubmittedRecord
from livecalc.telemetry.notices import notice

SUBMIT_GRACE = timedelta(seconds=60)
"""How long a recorded job may be unknown to the cluster: its submit may still be under way."""


class ClusterView(Struct, frozen=True, kw_only=True):
    """What the cluster says of one job; without a job when it knows none, or was not asked."""

    job: ClusterJob | None = None
    pods: tuple[PodRecord, ...] = ()
    namespace_lives: bool = False
    now: datetime

    @property
    def runs(self) -> bool:
        """Whether workers are still at it; with all results stored, they may be about to store their logs."""
        return self.namespace_lives and self.job is not None and self.job.state in {"pending", "running"}


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
        finished = await self._book.finished(tenant_key, submitted.job_id)
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
        stored = await self._stored(tenant_key, submitted)
        failed = next((record for record in stored.values() if record.state is JobState.FAILED), None)
        if failed is not None:
            end = _failed(submitted, failed.error or "the model failed", view, stored)
        elif len(stored) == len(submitted.partitions):
            end = _succeeded(submitted, stored, view)
        else:
            reason = _why_it_ended(submitted, view, self._submit_grace)
            if reason is None:
                return None
            end = _failed(submitted, reason, view, stored)
        return await self._book.finish(tenant_key, await self._with_head(end, submitted))

    async def settle(self, namespace: NamespaceRecord) -> list[FinishedRecord]:
        """Finish every job of a namespace that is about to go; what still runs is recorded as failed.

        A job whose records are damaged is left as it is, with a notice. Asks for pods, not for jobs: the cleanup
        worker has no right to read those. Raises Reaping when the namespace is gone.
        """
        ends: list[FinishedRecord] = []
        key = namespace.tenant_key
        pods = await self._cluster.list_pods(namespace.name)
        now = await self._cluster.now()
        await self.tidy(key, namespace.bucket_id, since=namespace.created_at)
        jobs = await self._book.jobs_of(key, namespace.bucket_id, since=namespace.created_at)
        await self._see_it_there(namespace)
        for submitted in jobs:
            try:
                end = await self._book.finished(key, submitted.job_id)
                if end is None:
                    own = tuple(pod for pod in pods if pod.job == submitted.job_id)
                    end = await self.conclude(key, submitted, ClusterView(pods=own, now=now))
            except Damaged as error:
                notice(f"job {submitted.job_id} is not settled: {error.detail}")
                continue
            if end is not None:
                ends.append(end)
        return ends

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
        finished = await self._book.finished(tenant_key, submitted.job_id)
        if finished is not None:
            return finished
        view = await self.observe(submitted)
        end = FinishedRecord(
            job_id=submitted.job_id,
            state=JobState.CANCELLED,
            error="cancelled",
            retries=_retries(view),
            started_at=_moment(view.job.started_at if view.job else None),
            finished_at=format_timestamp(view.now),
        )
        return await self._book.finish(tenant_key, await self._with_head(end, submitted))

    async def _with_head(self, end: FinishedRecord, submitted: SubmittedRecord) -> FinishedRecord:
        try:
            head = await self._audit.head(submitted.tenant_id)
        except Damaged as error:
            # What is wrong with the audit log is no reason to lose how a job ended.
            notice(f"job {submitted.job_id} is recorded without the audit log's head: {error.detail}")
            head = None
        return msgspec.structs.replace(end, audit_head=head)

    async def _stored(self, tenant_key: str, submitted: SubmittedRecord) -> dict[int, PartitionRecord]:
        stored: dict[int, PartitionRecord] = {}
        for plan in submitted.partitions:
            record = await self._partition(tenant_key, submitted, plan)
            if record is not None:
                stored[plan.index] = record
        return stored

    async def _partition(
        self, tenant_key: str, submitted: SubmittedRecord, plan: PartitionPlan
    ) -> PartitionRecord | None:
        try:
            async with self._book.partition_file(tenant_key, plan.blob) as path:
                record = await anyio.to_thread.run_sync(read_record, path)
                if record.state is JobState.SUCCEEDED:
                    await anyio.to_thread.run_sync(check_arrays, path, record)
        except NotFound:
            return None
        except Damaged as error:
            return _damaged(submitted, plan, f"{plan.blob}: {error.detail}")
        if (record.job_id, record.first, record.stop) != (submitted.job_id, plan.first, plan.stop):
            return _damaged(
                submitted, plan, f"{plan.blob} is of {record.job_id}, scenarios {record.first}-{record.stop}"
            )
        return record


def _succeeded(submitted: SubmittedRecord, stored: Mapping[int, PartitionRecord], view: ClusterView) -> FinishedRecord:
    records = [stored[plan.index] for plan in submitted.partitions]
    try:
        outputs = join_outputs(records, submitted.scenarios)
    except Damaged as error:
        return _failed(submitted, f"its results do not fit together: {error.detail}", view, stored)
    missing = [name for name in submitted.results if name not in outputs]
    if missing:
        return _failed(submitted, f"its results lack {', '.join(missing)}", view, stored)
    digests = {name: output_digest(name, outputs[name]) for name in sorted(submitted.results, key=str.encode)}
    return FinishedRecord(
        job_id=submitted.job_id,
        state=JobState.SUCCEEDED,
        result_hash=combine(digests.values()),
        outputs={name: digest.hex() for name, digest in digests.items()},
        partitions=[plan.blob for plan in submitted.partitions],
        retries=_retries(view),
        environment=_environment(records),
        started_at=min(record.started_at for record in records),
        finished_at=max(record.finished_at for record in records),
    )


def _environment(records: list[PartitionRecord]) -> dict[str, Any]:
    first = records[0].environment
    if any(record.environment != first for record in records):
        return {**first, "mixed": [record.environment for record in records if record.environment != first]}
    return first


def _failed(
    submitted: SubmittedRecord, reason: str, view: ClusterView, stored: Mapping[int, PartitionRecord]
) -> FinishedRecord:
    environments = [record.environment for record in stored.values() if record.environment]
    return FinishedRecord(
        job_id=submitted.job_id,
        state=JobState.FAILED,
        error=reason,
        retries=_retries(view),
        violations=sum(len(parse_violations(record.violations)[0]) for record in stored.values()),
        environment=environments[0] if environments else {},
        started_at=_moment(view.job.started_at if view.job else None),
        finished_at=format_timestamp(view.now),
    )


def _why_it_ended(submitted: SubmittedRecord, view: ClusterView, grace: timedelta) -> str | None:
    if view.job is not None:
        if view.job.state == "failed":
            return _job_failure(submitted, view.job, view.pods)
        if view.job.state == "succeeded":
            return "its workers succeeded, but a result is missing from the store"
        return f"namespace {submitted.namespace} was deleted while it ran"
    if not view.namespace_lives:
        return _pod_failure(view.pods) or f"namespace {submitted.namespace} went before it had ended"
    created = parse_timestamp(submitted.created_at)
    if created is not None and view.now - created > grace:
        return "its submit was interrupted before the cluster had it: submit again"
    return None


def _job_failure(submitted: SubmittedRecord, job: ClusterJob, pods: tuple[PodRecord, ...]) -> str:
    if job.reason == "DeadlineExceeded":
        return f"deadline of {submitted.deadline_seconds:g} s exceeded"
    return _pod_failure(pods) or job.message or job.reason or "the cluster says it failed, and no more"


def _pod_failure(pods: tuple[PodRecord, ...]) -> str | None:
    ends = [
        (pod, container.terminated)
        for pod in pods
        for container in pod.containers
        if container.terminated is not None and container.terminated.exit_code != 0
    ]
    if not ends:
        return None
    pod, end = ends[-1]
    if end.reason == "OOMKilled":
        return f"pod {pod.name} needed more memory than its limit and was killed (exit 137)"
    why = _stated(end) or (end.reason if end.reason not in {"", "Error"} else "")
    times = f" {len(ends)} times, the last" if len(ends) > 1 else ""
    return f"pod {pod.name} ended{times} with exit {end.exit_code}" + (f": {why}" if why else "")


def _stated(end: Termination) -> str | None:
    statement = read_statement(end.message)
    return None if statement is None else statement.error


def _retries(view: ClusterView) -> int:
    return max(0, len(view.pods) - len({pod.index for pod in view.pods}))


def _damaged(submitted: SubmittedRecord, plan: PartitionPlan, reason: str) -> PartitionRecord:
    return PartitionRecord(
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


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else format_timestamp(moment)


async def _unless_gone(cluster: Cluster, namespace: str) -> NamespaceRecord | None:
    try:
        return await cluster.get_namespace(namespace)
    except NotFound:
        return None
