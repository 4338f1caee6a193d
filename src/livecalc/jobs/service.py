"""Jobs as the API offers them: every method is scoped by the caller's tenant."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import anyio

from livecalc.audit.log import AuditLog
from livecalc.bundles.store import BundleStore
from livecalc.cluster.port import Cluster
from livecalc.domain.buckets import is_bucket_id
from livecalc.domain.errors import Conflict, Damaged, NotFound
from livecalc.domain.jobs import JobState, check_job_id
from livecalc.domain.retention import Retention, retain_until
from livecalc.domain.tenants import Principal
from livecalc.domain.timestamps import parse_timestamp
from livecalc.jobs import results
from livecalc.jobs.launch import Launcher, LaunchRequest
from livecalc.jobs.logs import JobLogs
from livecalc.jobs.request import SubmitRequest, check_request
from livecalc.jobs.views import Archives, JobViews
from livecalc.lifecycle.namespaces import NamespaceManager
from livecalc.records.book import JobBook
from livecalc.records.collect import Collector
from livecalc.records.model import FinishedRecord, SubmittedRecord
from livecalc.telemetry.notices import notice
from livecalc.wire.jobs import Job, Result, Submitted

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POLL = 0.1


__all__ = ["Jobs", "SubmitRequest"]


class Jobs:
    """Submit, watch, read, cancel."""

    def __init__(  # noqa: PLR0913  (each is a part of the platform, named once in bootstrap)
        self,
        *,
        cluster: Cluster,
        namespaces: NamespaceManager,
        bundles: BundleStore,
        book: JobBook,
        collector: Collector,
        launcher: Launcher,
        views: JobViews,
        logs: JobLogs,
        audit: AuditLog,
        deadline_seconds: float,
    ) -> None:
        self._cluster = cluster
        self._namespaces = namespaces
        self._bundles = bundles
        self._book = book
        self._collector = collector
        self._launcher = launcher
        self._views = views
        self._logs = logs
        self._audit = audit
        self._deadline_seconds = deadline_seconds

    async def admit(self, principal: Principal, request: SubmitRequest, *, request_id: str) -> None:
        """Refuse what a submit would refuse whatever its bundle is, before that is stored. Raises InvalidInput."""
        checked = check_request(request, self._deadline_seconds)
        await self._namespaces.refuse_unprotected(
            principal, checked.bucket_id, checked.retention, request_id=request_id
        )

    async def submit(self, principal: Principal, request: SubmitRequest, *, request_id: str) -> Submitted:
        """Run a stored bundle in a bucket, making its namespace when there is none.

        Raises InvalidInput, NotFound (the bundle), Conflict (the bucket takes no work), Reaping (come back).
        """
        checked = check_request(request, self._deadline_seconds)
        digest = await self._bundles.resolve(principal.tenant_key, checked.model_bundle_hash)
        bundle = await self._bundles.describe(principal.tenant_key, digest)
        known = await self._known(principal, checked, digest)
        if known is not None:
            return _submitted(known)
        async with self._audit.operation(
            principal=principal,
            operation="submit",
            bucket_id=checked.bucket_id,
            request_id=request_id,
            detail={"model_bundle_hash": digest, "name": checked.name, "labels": checked.labels},
            required=False,
        ) as entry:
            namespace, _ = await self._namespaces.create_namespace(
                principal, checked.bucket_id, retention=checked.retention, request_id=request_id
            )
            if namespace.retention is Retention.REGULATORY:
                until = retain_until(Retention.REGULATORY, await self._cluster.now())
                bundle = await self._bundles.keep(principal.tenant_key, bundle, until)
            launch = LaunchRequest(
                tenant_id=principal.tenant_id,
                user_id=principal.user_id,
                model_bundle_hash=digest,
                bundle_size=bundle.size,
                bundle_shelf=bundle.shelf,
                config=bundle.config,
                partitions=checked.partitions or self._cluster.slots,
                deadline_seconds=checked.deadline_seconds or self._deadline_seconds,
                name=checked.name,
                labels=checked.labels,
                submit_key=checked.submit_key,
            )
            record = await self._launcher.launch(namespace, launch)
            entry.detail["job_id"] = record.job_id
        return _submitted(record)

    async def get(self, principal: Principal, job_id: str) -> Job:
        """Read one job, alive or long gone. Raises NotFound."""
        submitted = await self._own(principal, job_id)
        return await self._view(principal, submitted, whole=True)

    async def list_jobs(  # noqa: PLR0913  (the filters of the endpoint)
        self,
        principal: Principal,
        *,
        bucket_id: str | None = None,
        state: JobState | None = None,
        labels: Mapping[str, str] | None = None,
        since: datetime | None = None,
        prefix: str = "",
        limit: int = 100,
    ) -> list[Job]:
        """List jobs, newest first; `prefix` is how their ids begin. Damaged ones are left out with a notice."""
        if bucket_id is not None and not is_bucket_id(bucket_id):
            return []
        found: list[Job] = []
        archives = self._views.archives(principal)
        async with aclosing(self._book.newest_first(principal.tenant_key, bucket_id, job_prefix=prefix)) as records:
            async for submitted in records:
                if len(found) == limit or _is_before(submitted, since):
                    break
                if submitted.tenant_id != principal.tenant_id or not _has_labels(submitted, labels or {}):
                    continue
                try:
                    job = await self._view(principal, submitted, archives)
                except Damaged as error:
                    notice(f"job {submitted.job_id} is left out: {error.detail}")
                    continue
                if state is None or job.state == state:
                    found.append(job)
        return found

    async def events(self, principal: Principal, job_id: str) -> AsyncGenerator[Job, None]:
        """Yield the job at once, whenever it changes, and last when it has ended."""
        submitted = await self._own(principal, job_id)
        before: Job | None = None
        while True:
            job = await self._view(principal, submitted)
            final = JobState(job.state).final
            if final:
                job = await self._view(principal, submitted, whole=True)
            if job != before:
                yield job
            if final:
                return
            before = job
            await anyio.sleep(_POLL)

    async def logs(self, principal: Principal, job_id: str, *, follow: bool = False) -> AsyncGenerator[bytes, None]:
        """Stream what a job's workers print or printed. Raises NotFound."""
        submitted = await self._own(principal, job_id)
        async with aclosing(self._logs.read(principal, submitted, follow=follow)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def result(self, principal: Principal, job_id: str) -> Result:
        """Summarise a succeeded job's outputs. Raises Conflict while there is no result, Damaged."""
        submitted, finished = await self._succeeded(principal, job_id)
        return await results.summarise(self._book, principal.tenant_key, submitted, finished)

    async def arrays(self, principal: Principal, job_id: str) -> "dict[str, NDArray[Any]]":
        """Read a succeeded job's outputs whole, by name; axis 0 is all scenarios in order. Raises as `result`."""
        submitted, finished = await self._succeeded(principal, job_id)
        return await results.read_arrays(self._book, principal.tenant_key, submitted, finished)

    async def cancel(self, principal: Principal, job_id: str, *, request_id: str) -> Job:
        """Stop a job and record it as cancelled; one that has ended stays as it is."""
        submitted = await self._own(principal, job_id)
        key = principal.tenant_key
        if await self._collector.collect(key, submitted) is None:
            async with self._audit.operation(
                principal=principal,
                operation="cancel",
                namespace=submitted.namespace,
                bucket_id=submitted.bucket_id,
                request_id=request_id,
                detail={"job_id": job_id},
            ):
                # Whoever comes first after the job was stopped, another or after a kill, records it as cancelled.
                await self._book.ask_to_cancel(key, submitted)
                await self._stop(submitted)
                await self._collector.cancel(key, submitted)
        return await self._view(principal, submitted)

    async def audit_heads(self, principal: Principal) -> list[str]:
        """The heads of the tenant's audit chain that the records of ended jobs hold; damaged ones with a notice."""
        heads: list[str] = []
        async with aclosing(self._book.newest_first(principal.tenant_key)) as records:
            async for submitted in records:
                try:
                    finished = await self._book.finished(principal.tenant_key, submitted)
                except Damaged as error:
                    notice(f"job {submitted.job_id} is left out: {error.detail}")
                    continue
                if finished is not None and finished.audit_head is not None:
                    heads.append(finished.audit_head)
        return heads

    async def settle(self, tenant_key: str) -> int:
        """Collect every job of a tenant that has ended unseen; returns how many are still running."""
        await self._collector.tidy(tenant_key)
        running = 0
        for submitted in await self._book.jobs(tenant_key):
            try:
                running += await self._collector.collect(tenant_key, submitted) is None
            except Damaged as error:
                notice(f"job {submitted.job_id} is left out: {error.detail}")
        return running

    async def _known(self, principal: Principal, request: SubmitRequest, digest: str) -> SubmittedRecord | None:
        if request.submit_key is None:
            return None
        known = await self._book.job_by_key(principal.tenant_key, request.bucket_id, request.submit_key)
        if known is not None and known.model_bundle_hash != digest:
            raise Conflict(
                f"key {request.submit_key!r} was used for job {known.job_id} of another bundle: use a new key"
            )
        return known

    async def _stop(self, submitted: SubmittedRecord) -> None:
        try:
            await self._cluster.cancel_job(submitted.namespace, submitted.job_id)
        except NotFound:
            return

    async def _own(self, principal: Principal, job_id: str) -> SubmittedRecord:
        submitted = await self._book.submitted(principal.tenant_key, check_job_id(job_id))
        if submitted.tenant_id != principal.tenant_id:
            raise NotFound(f"job {job_id} does not exist")
        return submitted

    async def _view(
        self, principal: Principal, submitted: SubmittedRecord, archives: Archives | None = None, *, whole: bool = False
    ) -> Job:
        finished = await self._book.finished(principal.tenant_key, submitted)
        if finished is None:
            observed = await self._collector.observe(submitted)
            finished = await self._collector.conclude(principal.tenant_key, submitted, observed)
            if finished is None:
                return await self._views.running(principal, submitted, observed)
        archives = archives or self._views.archives(principal)
        return await self._views.ended(principal, submitted, finished, archives, whole=whole)

    async def _succeeded(self, principal: Principal, job_id: str) -> tuple[SubmittedRecord, FinishedRecord]:
        submitted = await self._own(principal, job_id)
        finished = await self._collector.collect(principal.tenant_key, submitted)
        if finished is None:
            raise Conflict(f"job {job_id} is still running: wait with `livecalc jobs watch {job_id}`")
        if finished.state is not JobState.SUCCEEDED:
            raise Conflict(f"job {job_id} has no result: it {finished.state} ({finished.error})")
        return submitted, finished


def _submitted(record: SubmittedRecord) -> Submitted:
    return Submitted(
        job_id=record.job_id,
        bucket_id=record.bucket_id,
        namespace=record.namespace,
        model_bundle_hash=record.model_bundle_hash,
        status_url=f"/v1/jobs/{record.job_id}",
    )


def _has_labels(submitted: SubmittedRecord, labels: Mapping[str, str]) -> bool:
    return all(submitted.labels.get(key) == value for key, value in labels.items())


def _is_before(submitted: SubmittedRecord, since: datetime | None) -> bool:
    created = parse_timestamp(submitted.created_at)
    return since is not None and created is not None and created < since
