"""Retention on a stage whose clocks are turned, and what a test puts there to be kept or deleted."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

import msgspec
from lifecycle.stage import ANA, Stage, utc_now
from msgspec import Struct

from livecalc.audit.log import AuditLog
from livecalc.blobs.port import BlobInfo, BlobStore, read_all
from livecalc.cluster.port import Cluster
from livecalc.domain.violations import ANNOTATION
from livecalc.lifecycle.archive.index import ViolationIndex
from livecalc.lifecycle.archive.manifest import Manifest
from livecalc.lifecycle.retention.curator import Curator, RetentionPolicy
from livecalc.lifecycle.retention.holds import Holds
from livecalc.lifecycle.retention.plan import RetentionPlan
from livecalc.lifecycle.retention.report import RetentionReport

BUNDLE = "0" * 64
"""What the stage's jobs compute."""
Contents = Mapping[str, Mapping[str, bytes]]


class _Later:
    """A cluster whose clock is ahead."""

    def __init__(self, cluster: Cluster, ahead: timedelta) -> None:
        self._cluster = cluster
        self._ahead = ahead

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def now(self) -> datetime:
        return await self._cluster.now() + self._ahead


class _LaterStore:
    """A store whose clock is ahead, as marks show it."""

    def __init__(self, blobs: BlobStore, ahead: timedelta) -> None:
        self._blobs = blobs
        self._ahead = ahead

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    async def stat(self, container: str, name: str) -> BlobInfo:
        info = await self._blobs.stat(container, name)
        if not name.startswith("retention/"):
            return info
        return msgspec.structs.replace(info, created_at=info.created_at + self._ahead)


class Keeper(Struct, frozen=True):
    """Retention as it is so many days from now."""

    curator: Curator
    holds: Holds
    audit: AuditLog

    async def plan(self) -> RetentionPlan:
        return await self.curator.plan()

    async def apply(self) -> RetentionReport:
        return await self.curator.apply(await self.curator.plan())

    async def decisions(self) -> dict[str, tuple[str, str]]:
        """What is decided on each thing, and why, by kind and name."""
        plan = await self.plan()
        return {
            f"{entry.seen.target.kind} {entry.seen.target.name}": (
                type(entry.decision).__name__.lower(),
                entry.decision.reason,
            )
            for entry in plan.entries
        }


def keeper(  # noqa: PLR0913  (everything that a test turns)
    stage: Stage,
    days: float,
    *,
    holder: str = "keeper-1",
    blobs: BlobStore | None = None,
    skew: timedelta = timedelta(0),
    store_ahead: timedelta | None = None,
    cluster: Cluster | None = None,
    policy: RetentionPolicy | None = None,
) -> Keeper:
    """Retention in so many days; `skew` is how far its own clock is ahead of the cluster's.

    The store's clock is turned with them, unless `store_ahead` says otherwise.
    """
    ahead = timedelta(days=days)
    store = cast("BlobStore", _LaterStore(blobs or stage.blobs, ahead if store_ahead is None else store_ahead))
    later = cast("Cluster", _Later(cluster or stage.cluster, ahead))
    audit = AuditLog(store, now=lambda: utc_now() + ahead)
    curator = Curator(
        cluster=later,
        blobs=store,
        audit=audit,
        index=ViolationIndex(store, "diagnostics"),
        policy=policy or RetentionPolicy(),
        now=lambda: utc_now() + ahead + skew,
        holder=holder,
    )
    return Keeper(curator, Holds(cluster=later, blobs=store, audit=audit, prefix="diagnostics"), audit)


async def reaped(stage: Stage, bucket_id: str, *job_ids: str) -> Manifest:
    """Make a bucket with jobs of the one bundle, and a pod that violated a canary, and reap it."""
    record = await stage.namespace(bucket_id)
    for job_id in job_ids:
        submitted = await stage.job(record, job_id, "echo computed")
        await stage.book.take_key(record.tenant_key, submitted, f"key of {job_id}")
    await stage.pod(record.name, f"worker-{bucket_id}", "echo violated")
    violation = {ANNOTATION: "offset:1,expected:0xAB,actual:0x12"}
    await stage.local.annotate_pod(record.name, f"worker-{bucket_id}", violation)
    await stage.ended(record.name)
    await stage.manager().finalize_namespace(ANA, record.name, force=True, request_id="f")
    report = await stage.reaper().sweep()
    assert (report.successful, report.failed) == (1, 0), report
    return await stage.manifest(bucket_id)


async def push(stage: Stage, digest: str = BUNDLE) -> None:
    """Store a bundle; what is in it is nobody's business here."""
    await stage.blobs.write("bundles-acme", digest, b"bundle")


async def everything(blobs: BlobStore) -> Contents:
    """Every blob of a store but the audit records, by container and name; containers without any are left out."""
    found: dict[str, dict[str, bytes]] = {}
    for container in await blobs.list_containers():
        if container.startswith("audit-"):
            continue
        names = [info.name async for info in blobs.list_blobs(container)]
        if names:
            found[container] = {name: await read_all(blobs, container, name) for name in names}
    return found


async def copy(source: BlobStore, containers: list[str], target: BlobStore) -> None:
    """Copy every blob of some containers into an empty store."""
    for container in containers:
        infos = [info async for info in source.list_blobs(container)]
        for info in infos:
            body = await read_all(source, container, info.name)
            await target.write(container, info.name, body, metadata=info.metadata)
