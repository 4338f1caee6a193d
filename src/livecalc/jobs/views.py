"""A job as people see it: records and the cluster's view put into the wire's words."""

from collections.abc import Mapping

import anyio.to_thread

from livecalc.blobs.port import BlobStore
from livecalc.domain.errors import Damaged, NotFound
from livecalc.domain.jobs import JobState
from livecalc.domain.partitions import PartitionRecord
from livecalc.domain.shelves import Shelf, result_shelf
from livecalc.domain.tenants import Principal
from livecalc.domain.timestamps import format_timestamp
from livecalc.lifecycle.diagnostics.reader import Diagnostics
from livecalc.pipeline.partition import read_record
from livecalc.records.book import JobBook
from livecalc.records.ends import ClusterView, scenarios_done
from livecalc.records.model import FinishedRecord, PartitionPlan, SubmittedRecord
from livecalc.telemetry.notices import notice
from livecalc.wire.diagnostics import Archive
from livecalc.wire.jobs import Job, NodeReport, Progress, Recomputation


class Archives:
    """The archives of a caller's jobs, each bucket's looked up once."""

    def __init__(self, diagnostics: Diagnostics, principal: Principal) -> None:
        self._diagnostics = diagnostics
        self._principal = principal
        self._by_bucket: dict[str, dict[str, Archive]] = {}

    async def of(self, submitted: SubmittedRecord) -> Archive | None:
        """The archive of a job's namespace; None while that was not reaped."""
        bucket_id = submitted.bucket_id
        if bucket_id not in self._by_bucket:
            self._by_bucket[bucket_id] = await self._look_up(bucket_id)
        return self._by_bucket[bucket_id].get(submitted.job_id)

    async def _look_up(self, bucket_id: str) -> dict[str, Archive]:
        try:
            return await self._diagnostics.archives_by_job(self._principal, bucket_id)
        except Damaged as error:
            notice(f"the archives of bucket {bucket_id} are not known: {error.detail}")
            return {}


class JobViews:
    """Makes wire jobs. Reads, and changes nothing."""

    def __init__(self, book: JobBook, blobs: BlobStore, diagnostics: Diagnostics) -> None:
        self._book = book
        self._blobs = blobs
        self._diagnostics = diagnostics

    async def running(self, principal: Principal, submitted: SubmittedRecord, view: ClusterView) -> Job:
        """A job that has not ended: progress is what workers stored and what their pods say."""
        shelf = result_shelf(principal.tenant_key, submitted.retention)
        done = [plan for plan in submitted.partitions if await self._is_stored(shelf, plan)]
        scenarios = scenarios_done(submitted, {plan.index for plan in done}, view.pods)
        job = view.job
        state = JobState.RUNNING if job is not None and job.state != "pending" else JobState.PENDING
        started = job.started_at if job is not None else None
        return _job(
            submitted,
            state=state,
            started_at=None if started is None else format_timestamp(started),
            scenarios=scenarios,
            partitions=len(done),
            retries=max(0, len(view.pods) - len({pod.index for pod in view.pods})),
            nodes=[
                NodeReport(id=node, engine=engine, blocks=_blocks(submitted, scenarios), cpu_seconds=0.0)
                for node, engine in submitted.nodes.items()
            ],
        )

    def archives(self, principal: Principal) -> Archives:
        """The archives of a caller's jobs, for a list."""
        return Archives(self._diagnostics, principal)

    async def ended(
        self,
        principal: Principal,
        submitted: SubmittedRecord,
        finished: FinishedRecord,
        archives: Archives,
        *,
        whole: bool = False,
    ) -> Job:
        """A job that has ended, with its archive from `archives`; `whole` adds what is read from its partitions."""
        succeeded = finished.state is JobState.SUCCEEDED
        key = principal.tenant_key
        done = submitted.partitions if succeeded else []
        nodes: list[NodeReport] = []
        kept = await archives.of(submitted)
        recomputations: list[Recomputation] = []
        if whole:
            nodes = await self._nodes(key, submitted, finished)
            recomputations = [
                Recomputation(
                    at=record.at,
                    match=record.match,
                    duration_seconds=record.duration_seconds,
                    result_hash=record.result_hash,
                )
                for record in await self._book.recomputations(key, submitted)
            ]
        return _job(
            submitted,
            state=finished.state,
            started_at=finished.started_at,
            finished_at=finished.finished_at,
            scenarios=finished.scenarios_done,
            partitions=len(done),
            result_hash=finished.result_hash,
            error=finished.error,
            environment=finished.environment,
            retries=finished.retries,
            violations=finished.violations,
            nodes=nodes,
            archive=None if kept is None else f"{kept.bucket_id}/{kept.timestamp}",
            kept_until=None if kept is None else kept.retain_until,
            recomputations=recomputations,
        )

    async def _is_stored(self, shelf: Shelf, plan: PartitionPlan) -> bool:
        try:
            await self._blobs.stat(shelf.container, shelf.blob(plan.blob))
        except NotFound:
            return False
        return True

    async def _nodes(self, tenant_key: str, submitted: SubmittedRecord, finished: FinishedRecord) -> list[NodeReport]:
        stored: list[PartitionRecord] = []
        for name in finished.partitions:
            try:
                async with self._book.partition_file(tenant_key, submitted, name) as path:
                    stored.append(await anyio.to_thread.run_sync(read_record, path))
            except (NotFound, Damaged):
                continue
        scenarios = sum(record.stop - record.first for record in stored)
        return [
            NodeReport(
                id=node,
                engine=engine,
                blocks=_blocks(submitted, scenarios),
                cpu_seconds=sum(record.nodes[node].cpu_seconds for record in stored if node in record.nodes),
            )
            for node, engine in submitted.nodes.items()
        ]


def _blocks(submitted: SubmittedRecord, scenarios: int) -> Progress:
    done = scenarios // submitted.block if scenarios < submitted.scenarios else -(-scenarios // submitted.block)
    return Progress(done=done, total=-(-submitted.scenarios // submitted.block))


def _job(  # noqa: PLR0913  (one place that fills the wire's job)
    submitted: SubmittedRecord,
    *,
    state: JobState,
    started_at: str | None,
    scenarios: int,
    partitions: int,
    retries: int,
    nodes: list[NodeReport],
    finished_at: str | None = None,
    result_hash: str | None = None,
    error: str | None = None,
    environment: Mapping[str, object] | None = None,
    violations: int = 0,
    archive: str | None = None,
    kept_until: str | None = None,
    recomputations: list[Recomputation] | None = None,
) -> Job:
    return Job(
        job_id=submitted.job_id,
        bucket_id=submitted.bucket_id,
        name=submitted.name,
        labels=submitted.labels,
        model_bundle_hash=submitted.model_bundle_hash,
        state=state,
        user_id=submitted.user_id,
        created_at=submitted.created_at,
        started_at=started_at,
        finished_at=finished_at,
        scenarios=Progress(done=scenarios, total=submitted.scenarios),
        partitions=Progress(done=partitions, total=len(submitted.partitions)),
        result_hash=result_hash,
        error=error,
        environment=dict(environment or {}),
        archive=archive,
        namespace=submitted.namespace,
        model=f"{submitted.model_name} v{submitted.model_version}",
        block=submitted.block,
        seed=submitted.seed,
        outputs=submitted.results,
        retention=submitted.retention,
        retries=retries,
        nodes=nodes,
        violations=violations,
        recomputations=recomputations or [],
        kept_until=kept_until,
    )
