"""Bring a job into a namespace: record it, tell its workers what to do, create it on the cluster.

Each step can be repeated, and a process killed between two leaves a job that `records.collect` can finish.
"""

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct, field

from livecalc.blobs.port import BlobStore, Verb
from livecalc.cluster.port import Cluster, JobSpec, PodTemplate
from livecalc.domain.errors import AlreadyExists, Conflict, LivecalcError, NotFound
from livecalc.domain.jobs import FINAL_EXITS, JOB_LABEL, RANDOM_BITS, JobState, new_job_id, split_blocks
from livecalc.domain.modelconfig import Config, order_nodes
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.shelves import Shelf, result_shelf
from livecalc.domain.tasks import GRANTS_ENV, PartitionTask, Task
from livecalc.domain.timestamps import format_timestamp
from livecalc.lifecycle.activity import begin_submit, check_still_active, confirm_submit
from livecalc.lifecycle.retention.marks import Marks, bundle_key
from livecalc.records import paths
from livecalc.records.book import RESULT_LIMIT, JobBook
from livecalc.records.model import PartitionPlan, SubmittedRecord

GRANT_SLACK = timedelta(hours=1)
"""How much longer than its job's deadline a grant lives."""
_TASK_LIMIT = 16 << 20


class WorkerSpec(Struct, frozen=True, kw_only=True):
    """How workers are started on this cluster, whatever they compute."""

    image: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    versions: dict[str, str] = field(default_factory=dict[str, str])
    """Of what computes: livecalc, Python, NumPy."""
    limits: dict[str, int]
    """See `domain.tasks.Task.limits`."""
    cpu: float = 1.0
    memory: int
    """Bytes; a worker over it is killed."""
    retries: int = 3


class LaunchRequest(Struct, frozen=True, kw_only=True):
    """What to run, for whom; already checked."""

    tenant_id: str
    user_id: str
    model_bundle_hash: str
    bundle_size: int
    bundle_shelf: Shelf
    """Where the workers take it from."""
    config: Config
    partitions: int
    deadline_seconds: float
    name: str | None = None
    labels: dict[str, str] = field(default_factory=dict[str, str])
    submit_key: str | None = None
    """The same key in the same bucket is the same job."""


class Launcher:
    """Creates jobs in namespaces that exist."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        blobs: BlobStore,
        book: JobBook,
        worker: WorkerSpec,
        random: Callable[[], int] = lambda: secrets.randbits(RANDOM_BITS),
    ) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._book = book
        self._worker = worker
        self._random = random

    async def launch(self, namespace: NamespaceRecord, request: LaunchRequest) -> SubmittedRecord:
        """Record a job and create it. Raises Conflict or Reaping when the namespace takes no work (any more)."""
        now = await self._cluster.now()
        tenant_key = namespace.tenant_key
        record = await self._record(namespace, request, now)
        if request.submit_key is not None:
            first = await self._book.take_key(tenant_key, record, request.submit_key)
            if first.job_id != record.job_id:
                await self._book.forget_job(tenant_key, record)
                return first
        try:
            await self._see_bundle(tenant_key, request)
            url = await self._task(tenant_key, record, request.bundle_shelf, now)
            await begin_submit(self._cluster, namespace.name, namespace.uid, record.job_id, now)
            await self._create(namespace, record, url)
            await self._confirm(namespace, record)
        except LivecalcError:
            if request.submit_key is not None:
                await self._book.drop_key(tenant_key, record, request.submit_key)
            await self._withdraw(tenant_key, record)
            raise
        return record

    async def _record(self, namespace: NamespaceRecord, request: LaunchRequest, now: datetime) -> SubmittedRecord:
        while True:
            record = self._plan(namespace, request, now)
            try:
                await self._book.open_job(namespace.tenant_key, record)
            except AlreadyExists:
                continue
            return record

    def _plan(self, namespace: NamespaceRecord, request: LaunchRequest, now: datetime) -> SubmittedRecord:
        job_id = new_job_id(now, self._random())
        scenarios = request.config.scenarios
        ranges = split_blocks(scenarios.count, scenarios.block, request.partitions)
        return SubmittedRecord(
            job_id=job_id,
            bucket_id=namespace.bucket_id,
            namespace=namespace.name,
            namespace_uid=namespace.uid,
            tenant_id=request.tenant_id,
            user_id=request.user_id,
            name=request.name,
            labels=request.labels,
            model_bundle_hash=request.model_bundle_hash,
            bundle_size=request.bundle_size,
            model_name=request.config.name,
            model_version=request.config.version,
            scenarios=scenarios.count,
            block=scenarios.block,
            seed=scenarios.seed,
            nodes={node.id: node.engine.partition(":")[0] for node in order_nodes(request.config.pipeline.nodes)},
            results=request.config.results,
            partitions=[self._partition(job_id, *entry) for entry in enumerate(ranges)],
            deadline_seconds=request.deadline_seconds,
            retention=namespace.retention,
            image=self._worker.image,
            versions=self._worker.versions,
            created_at=format_timestamp(now),
            log_limit=_log_limit(self._worker.limits),
        )

    def _partition(self, job_id: str, index: int, scenarios: tuple[int, int]) -> PartitionPlan:
        first, stop = scenarios
        nonce = secrets.token_hex(16)
        return PartitionPlan(
            index=index,
            first=first,
            stop=stop,
            blob=paths.partition(job_id, first, nonce),
            logs=[paths.log(job_id, first, attempt, nonce) for attempt in range(self._worker.retries + 1)],
        )

    async def _see_bundle(self, tenant_key: str, request: LaunchRequest) -> None:
        """See that the bundle stays: retention marks it and looks for jobs then, and this one is recorded."""
        digest, shelf = request.model_bundle_hash, request.bundle_shelf
        if await Marks(self._blobs, tenant_key).made_at(bundle_key(digest)) is not None:
            raise Conflict(
                f"bundle {digest} is being deleted, since nothing has needed it for longer than it is kept: "
                "push and submit it again when `livecalc retention apply` is done"
            )
        try:
            await self._blobs.stat(shelf.container, shelf.blob(digest))
        except NotFound:
            raise NotFound(f"there is no bundle {digest} any more; push it again") from None

    async def _task(self, tenant_key: str, record: SubmittedRecord, bundles: Shelf, now: datetime) -> str:
        expires_at = now + timedelta(seconds=record.deadline_seconds) + GRANT_SLACK
        shelf = result_shelf(tenant_key, record.retention)
        limits = self._worker.limits

        async def create(name: str, limit: int) -> str:
            return await self._blobs.grant(
                shelf.container, shelf.blob(name), Verb.CREATE, expires_at=expires_at, limit=limit
            )

        task = Task(
            job_id=record.job_id,
            bundle=await self._blobs.grant(
                bundles.container,
                bundles.blob(record.model_bundle_hash),
                Verb.READ,
                expires_at=expires_at,
                limit=limits["bundle_bytes"],
            ),
            model_bundle_hash=record.model_bundle_hash,
            partitions=[
                PartitionTask(
                    index=plan.index,
                    first=plan.first,
                    stop=plan.stop,
                    result=await create(plan.blob, RESULT_LIMIT),
                    logs=[await create(name, _log_limit(limits)) for name in plan.logs],
                )
                for plan in record.partitions
            ],
            limits=limits,
        )
        container, name = paths.results_container(tenant_key), paths.task(record.job_id)
        await self._blobs.write(container, name, msgspec.json.encode(task))
        return await self._blobs.grant(container, name, Verb.READ, expires_at=expires_at, limit=_TASK_LIMIT)

    async def _create(self, namespace: NamespaceRecord, record: SubmittedRecord, url: str) -> None:
        template = PodTemplate(
            image=record.image,
            command=self._worker.command,
            env=self._worker.env,
            secret={GRANTS_ENV: url},
            labels={JOB_LABEL: record.job_id},
            cpu=self._worker.cpu,
            memory=self._worker.memory,
        )
        spec = JobSpec(
            name=record.job_id,
            partitions=len(record.partitions),
            template=template,
            retries=self._worker.retries,
            final_exits=FINAL_EXITS,
            deadline_seconds=record.deadline_seconds,
        )
        try:
            await self._cluster.create_job(record.namespace, spec)
        except (NotFound, Conflict):
            await check_still_active(self._cluster, namespace.name, namespace.uid)
            raise

    async def _confirm(self, namespace: NamespaceRecord, record: SubmittedRecord) -> None:
        await confirm_submit(self._cluster, namespace.name, namespace.uid, record.job_id)
        end = await self._book.finished(namespace.tenant_key, record)
        if end is not None:
            why = "was cancelled" if end.state is JobState.CANCELLED else "was given up"
            raise Conflict(f"job {record.job_id} {why} while its submit was under way: submit again")

    async def _withdraw(self, tenant_key: str, record: SubmittedRecord) -> None:
        """Undo what was done. The job goes first: while it may be there, its record must stay to tell of it."""
        with suppress(NotFound):
            await self._cluster.delete_job(record.namespace, record.job_id)
        await self._book.forget_job(tenant_key, record)


def _log_limit(limits: Mapping[str, int]) -> int:
    # The worker's own lines, and the one that says that the log was cut, come on top of the model's output.
    return limits["log_bytes"] + (1 << 20)
