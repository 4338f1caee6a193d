"""The real parts of a lifecycle test: a local cluster with its node process, a blob store, audit and records."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
from support.stores import Hands, boxed_store
from support.waiting import eventually

from livecalc.audit.log import AuditLog
from livecalc.blobs.port import BlobStore, read_all
from livecalc.cluster.local import LocalCluster, NodeSettings
from livecalc.cluster.port import Cluster, JobSpec, PodRecord, PodTemplate
from livecalc.domain.audit import AuditRecord
from livecalc.domain.errors import NotFound
from livecalc.domain.jobs import JOB_LABEL
from livecalc.domain.namespaces import LAST_ACTIVITY, NamespaceRecord
from livecalc.domain.retention import Retention
from livecalc.domain.tenants import Principal
from livecalc.domain.timestamps import format_timestamp
from livecalc.lifecycle.archive.manifest import Manifest
from livecalc.lifecycle.diagnostics.reader import Diagnostics
from livecalc.lifecycle.namespaces import NamespaceManager
from livecalc.lifecycle.reaper import Reaper, ReaperPolicy
from livecalc.records import paths
from livecalc.records.book import JobBook
from livecalc.records.collect import Collector
from livecalc.records.model import PartitionPlan, SubmittedRecord

ANA = Principal(tenant_id="acme", user_id="ana")
BOB = Principal(tenant_id="other", user_id="bob")
NODE = NodeSettings(slots=4, grace_seconds=1.0, linger_seconds=0.2, log_bytes=64 << 10, log_files=2)
POLICY = ReaperPolicy(wait=15.0, claim_timeout=0.6, deadline=60.0)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Stage:
    """What a test plays on. `with_parts` puts wrappers around the ports."""

    root: Path
    local: LocalCluster
    """The cluster itself, with what people and tests do besides the port."""
    cluster: Cluster
    blobs: BlobStore
    hands: Hands
    """Someone who may change the blobs behind the platform's back."""
    box: str
    """What the containers' names begin with on a store that other tests use too."""
    policy: ReaperPolicy = POLICY

    def with_parts(
        self, *, cluster: Cluster | None = None, blobs: BlobStore | None = None, policy: ReaperPolicy | None = None
    ) -> "Stage":
        return replace(
            self,
            cluster=cluster or self.cluster,
            blobs=blobs or self.blobs,
            policy=policy or self.policy,
        )

    @property
    def audit(self) -> AuditLog:
        return AuditLog(self.blobs, now=utc_now)

    @property
    def book(self) -> JobBook:
        return JobBook(self.blobs)

    @property
    def diagnostics(self) -> Diagnostics:
        return Diagnostics(self.blobs, self.policy.diagnostics, self.audit)

    def reaper(self, holder: str = "worker-1", *, now: Callable[[], datetime] = utc_now) -> Reaper:
        audit, book = self.audit, self.book
        return Reaper(
            cluster=self.cluster,
            blobs=self.blobs,
            audit=audit,
            book=book,
            collector=Collector(book, self.cluster, audit),
            policy=self.policy,
            now=now,
            holder=holder,
        )

    def manager(self, holder: str = "api-1") -> NamespaceManager:
        return NamespaceManager(cluster=self.cluster, blobs=self.blobs, audit=self.audit, reaper=self.reaper(holder))

    async def namespace(
        self, bucket_id: str, *, idle: timedelta | None = None, principal: Principal = ANA
    ) -> NamespaceRecord:
        """Make a bucket's namespace, last used `idle` ago."""
        record, _ = await self.manager().create_namespace(principal, bucket_id, request_id=f"create-{bucket_id}")
        return record if idle is None else await self.age(record, idle)

    async def age(self, record: NamespaceRecord, idle: timedelta) -> NamespaceRecord:
        moment = format_timestamp(await self.cluster.now() - idle)
        return await self.annotate(record, {LAST_ACTIVITY: moment})

    async def annotate(self, record: NamespaceRecord, annotations: Mapping[str, str | None]) -> NamespaceRecord:
        fresh = await self.local.get_namespace(record.name)
        return await self.local.patch_namespace(fresh, annotations=annotations)

    async def finalized(self, bucket_id: str) -> NamespaceRecord:
        record = await self.namespace(bucket_id)
        await self.manager().finalize_namespace(ANA, record.name, force=False, request_id=f"finalize-{bucket_id}")
        return await self.local.get_namespace(record.name)

    async def pod(self, namespace: str, name: str, script: str, *, ended: bool = True, job: str = "") -> PodRecord:
        """Start a pod that is not of a job, and wait until it runs, or has ended."""
        labels = {JOB_LABEL: job} if job else {}
        await self.local.create_pod(namespace, name, template(script), labels)

        async def found() -> PodRecord | None:
            pods = {pod.name: pod for pod in await self.local.list_pods(namespace)}
            pod = pods[name]
            reached = not pod.alive if ended else pod.phase == "Running"
            return pod if reached else None

        pod = await eventually(found)
        assert pod is not None
        return pod

    async def job(
        self,
        namespace: NamespaceRecord,
        job_id: str,
        script: str,
        *,
        logs: Mapping[str, bytes] | None = None,
        log_limit: int | None = None,
    ) -> SubmittedRecord:
        """Record and start a job of one partition, with the log blobs that its worker would have stored."""
        submitted = msgspec.structs.replace(submitted_record(namespace, job_id), log_limit=log_limit)
        await self.book.open_job(namespace.tenant_key, submitted)
        for name, content in (logs or {}).items():
            await self.blobs.write(paths.results_container(namespace.tenant_key), name, content)
        spec = JobSpec(
            name=job_id,
            partitions=1,
            template=msgspec.structs.replace(template(script), labels={JOB_LABEL: job_id}),
            retries=0,
            deadline_seconds=600,
        )
        await self.local.create_job(namespace.name, spec)
        return submitted

    async def ended(self, namespace: str) -> list[PodRecord]:
        """Wait until all pods of a namespace, at least one, have ended."""

        async def pods() -> list[PodRecord]:
            found = await self.local.list_pods(namespace)
            return [] if any(pod.alive for pod in found) else found

        return await eventually(pods)

    async def is_gone(self, name: str) -> bool:
        try:
            await self.local.get_namespace(name)
        except NotFound:
            return True
        return False

    async def manifests(self, bucket_id: str, principal: Principal = ANA) -> list[Manifest]:
        """The manifests of a bucket's archives, oldest first."""
        archives = await self.diagnostics.list_archives(principal, bucket_id)
        raw = [await self.diagnostics.manifest(principal, each.bucket_id, each.timestamp) for each in archives]
        return [msgspec.json.decode(each, type=Manifest) for each in raw]

    async def manifest(self, bucket_id: str, principal: Principal = ANA) -> Manifest:
        [manifest] = await self.manifests(bucket_id, principal)
        return manifest

    async def blob(self, path: str, principal: Principal = ANA) -> bytes:
        return b"".join([chunk async for chunk in self.diagnostics.read_blob(principal, path)])

    async def json(self, path: str) -> object:
        return msgspec.json.decode(await self.blob(path))

    async def audited(self, *, operation: str, tenant_id: str = "acme") -> list[AuditRecord]:
        """The audit records of one operation, oldest first."""
        records = await self.audit.read(tenant_id, limit=10_000)
        return [record for record in reversed(records) if record.operation == operation]

    async def container(self, name: str) -> dict[str, bytes]:
        names = [info.name async for info in self.blobs.list_blobs(name)]
        return {each: await read_all(self.blobs, name, each) for each in names}


@asynccontextmanager
async def open_stage(root: Path, adapter: str = "directory", place: str = "") -> AsyncGenerator[Stage, None]:
    """Set a stage; `place` is the connection string of adapter `azure`."""
    cluster = LocalCluster(root / "cluster", node=NODE)
    place, box = place or str(root), uuid4().hex[:8]
    async with boxed_store(adapter, place, box) as blobs:
        try:
            yield Stage(
                root=root, local=cluster, cluster=cluster, blobs=blobs, hands=Hands(adapter, place, box), box=box
            )
        finally:
            await _empty(cluster)
            await cluster.close()


async def _empty(cluster: LocalCluster) -> None:
    """Kill what still runs, so that the node process leaves."""
    for record in (await cluster.list_namespaces({})).items:
        for job in await cluster.list_jobs(record.name):
            await cluster.delete_job(record.name, job.name)


def template(script: str) -> PodTemplate:
    return PodTemplate(image="none", command=("sh", "-c", script))


def submitted_record(namespace: NamespaceRecord, job_id: str) -> SubmittedRecord:
    return SubmittedRecord(
        job_id=job_id,
        bucket_id=namespace.bucket_id,
        namespace=namespace.name,
        namespace_uid=namespace.uid,
        tenant_id=namespace.tenant_id,
        user_id="ana",
        name=None,
        labels={},
        model_bundle_hash="0" * 64,
        bundle_size=1,
        model_name="m",
        model_version="1",
        scenarios=40,
        block=40,
        seed=1,
        nodes={},
        results=[],
        partitions=[
            PartitionPlan(
                index=0,
                first=0,
                stop=40,
                blob=paths.partition(job_id, 0, "nonce"),
                logs=[paths.log(job_id, 0, attempt, "nonce") for attempt in range(2)],
            )
        ],
        deadline_seconds=600,
        retention=Retention.STANDARD,
        image="none",
        versions={},
        created_at=format_timestamp(utc_now()),
    )
