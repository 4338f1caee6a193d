"""The real platform of one process among many, on a cluster that writes down what it was asked and what it answered."""

import asyncio
import fcntl
import json
import os
import random
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from livecalc.bootstrap.service import assemble, open_adapters
from livecalc.cluster.local import LocalCluster, NodeSettings
from livecalc.cluster.port import ClusterJob, JobSpec
from livecalc.domain.errors import AlreadyExists, PreconditionFailed
from livecalc.domain.namespaces import LAST_ACTIVITY, LAST_JOB, LAST_SUBMIT, STATUS, NamespaceRecord
from livecalc.domain.receipts import ArchiveReceipt, ArchiveWaiver
from livecalc.domain.tenants import Principal
from livecalc.lifecycle.policy import ReaperPolicy
from livecalc.services import Platform
from livecalc.settings import load

TENANTS = 5
WITNESS = "witness"
"""The folder below the home where each pod leaves a file when it has ended by itself."""
LIMIT = timedelta(hours=24)
POLICY = ReaperPolicy(idle_limit=LIMIT, wait=30.0, claim_timeout=1.5, deadline=120.0)
NODE = NodeSettings(slots=4, grace_seconds=1.0, linger_seconds=0.5)
HESITATION, LONGEST = 0.3, 0.06
"""How often, and for how many seconds at most, a process stands still before a change."""
OPERATION: ContextVar[str] = ContextVar("OPERATION", default="reaper")
"""Which act of the test a call to the cluster belongs to."""


class Journal:
    """What one process did, line by line; a line is whole or not there."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, did: str, **facts: Any) -> None:
        line = json.dumps({"did": did, "by": OPERATION.get(), "at": time.time(), **facts})
        os.write(self._file, line.encode() + b"\n")


class WatchedCluster(LocalCluster):
    """The local cluster; each change of a namespace is noted with the version it was based on and the one it made.

    Before a change it may hesitate, so that others come in between.
    """

    def __init__(self, home: Path, journal: Journal, rng: random.Random) -> None:
        super().__init__(home / "cluster", node=NODE)
        self._journal = journal
        self._rng = rng
        self._witness = str(home / WITNESS)

    async def create_namespace(
        self, name: str, *, labels: Mapping[str, str], annotations: Mapping[str, str]
    ) -> NamespaceRecord:
        await self._hesitate()
        try:
            made = await super().create_namespace(name, labels=labels, annotations=annotations)
        except AlreadyExists:
            self._journal.write("conflict", on="create", name=name)
            raise
        self._journal.write("created", name=name, uid=made.uid, version=int(made.resource_version))
        return made

    async def patch_namespace(
        self,
        record: NamespaceRecord,
        *,
        annotations: Mapping[str, str | None] | None = None,
        add_finalizer: str | None = None,
        remove_finalizer: str | None = None,
        any_version: bool = False,
    ) -> NamespaceRecord:
        kind = _kind(annotations or {}, remove_finalizer)
        await self._hesitate()
        try:
            after = await super().patch_namespace(
                record,
                annotations=annotations,
                add_finalizer=add_finalizer,
                remove_finalizer=remove_finalizer,
                any_version=any_version,
            )
        except PreconditionFailed:
            self._journal.write("conflict", on=kind, name=record.name)
            raise
        self._journal.write(
            "patched",
            kind=kind,
            name=record.name,
            uid=record.uid,
            base=int(record.resource_version),
            version=int(after.resource_version),
            status=record.status,
            last=record.annotations.get(LAST_ACTIVITY),
            terminating=record.terminating,
            changes=dict(annotations or {}),
        )
        return after

    async def delete_namespace(self, record: NamespaceRecord, receipt: ArchiveReceipt | ArchiveWaiver) -> None:
        await self._hesitate()
        try:
            await super().delete_namespace(record, receipt)
        except PreconditionFailed:
            self._journal.write("conflict", on="delete", name=record.name)
            raise
        self._journal.write(
            "deleted",
            name=record.name,
            uid=record.uid,
            base=int(record.resource_version),
            status=record.status,
            again=record.terminating,
            archived=isinstance(receipt, ArchiveReceipt),
        )

    async def create_job(self, namespace: str, spec: JobSpec) -> ClusterJob:
        """The pods only leave a file behind when they end by themselves: what they compute is no matter here."""
        template = msgspec.structs.replace(
            spec.template, command=("sh", "-c", ': > "$WITNESS/$LIVECALC_POD_NAME"'), env={"WITNESS": self._witness}
        )
        await self._hesitate()
        job = await super().create_job(namespace, msgspec.structs.replace(spec, template=template))
        self._journal.write("job", name=namespace, job=spec.name)
        return job

    async def _hesitate(self) -> None:
        if self._rng.random() < HESITATION:
            await asyncio.sleep(self._rng.random() * LONGEST)


def _kind(changes: Mapping[str, str | None], remove_finalizer: str | None) -> str:
    """A reaper's patches are told apart by what they change; the others' by who makes them."""
    by = OPERATION.get()
    if by == "submit" and LAST_JOB in changes:
        return "confirm"
    if by == "submit" and LAST_SUBMIT not in changes:
        return "heartbeat"  # it found its bucket open already
    if by != "reaper":
        return by
    if remove_finalizer is not None:
        return "let go"
    if changes.get(STATUS):
        return "claim"
    return "renew" if "reap-renewed-at" in changes else "note"


@dataclass(frozen=True)
class World:
    """One process's platform and journal."""

    platform: Platform
    cluster: WatchedCluster
    journal: Journal
    home: Path

    @asynccontextmanager
    async def submitting(self, bucket: int) -> AsyncGenerator[None]:
        """Hold up time for a bucket: `passing_time` waits."""
        async with _locked(self.home / f"clock-{bucket}", shared=True):
            yield

    @asynccontextmanager
    async def passing_time(self, bucket: int) -> AsyncGenerator[None]:
        """Have the right to let a day pass for a bucket: no submit is under way in it."""
        async with _locked(self.home / f"clock-{bucket}", shared=False):
            yield


@asynccontextmanager
async def _locked(path: Path, *, shared: bool) -> AsyncGenerator[None]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.002)
        yield
    finally:
        os.close(lock)


def principal(bucket: int) -> Principal:
    """Whose bucket it is."""
    return Principal(tenant_id=f"tenant-{bucket % TENANTS}", user_id="ana")


@asynccontextmanager
async def open_world(home: Path, name: str, *, seed: str = "") -> AsyncGenerator[World]:
    """Open the platform of a home, watched, with trivial pods, and with a reaper that is in a hurry."""
    settings = load({"LIVECALC_HOME": str(home)})
    journal = Journal(home / f"{name}.journal")
    async with AsyncExitStack() as stack:
        adapters = await open_adapters(settings, stack)
        cluster = WatchedCluster(home, journal, random.Random(f"{seed}/{name}/pauses"))  # noqa: S311  (not for secrets)
        stack.push_async_callback(cluster.close)
        platform = assemble(settings, msgspec.structs.replace(adapters, cluster=cluster), policy=POLICY)
        yield World(platform, cluster, journal, home)
