"""Every cluster that must pass the suite in `cluster/`: the local one, or that of LIVECALC_TEST_KUBECONFIG."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, TypedDict, TypeVar, Unpack
from uuid import uuid4

from support.waiting import eventually

from livecalc.cluster.local import LocalCluster, NodeSettings
from livecalc.cluster.port import Cluster, ClusterJob, JobSpec, PodRecord, PodTemplate
from livecalc.domain.errors import NotFound
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.receipts import ArchiveWaiver

T = TypeVar("T")


class Harness(Protocol):
    """A cluster, and what its port does not offer but its tests need."""

    @property
    def cluster(self) -> Cluster: ...

    @property
    def patience(self) -> float:
        """Seconds within which anything that is to happen has happened."""
        ...

    def shell(self, script: str, *, env: Mapping[str, str] | None = None, memory: int = 256 << 20) -> PodTemplate:
        """A template whose container runs a POSIX shell script."""
        ...

    async def create_pod(self, namespace: str, name: str, template: PodTemplate) -> None:
        """Make a pod that belongs to no job and is not started again."""
        ...

    async def create_claim(self, namespace: str, name: str, *, retain: bool = False, finalizer: str = "") -> None:
        """Make a volume claim for which a volume is made."""
        ...

    async def remove_claim_finalizer(self, namespace: str, name: str, finalizer: str) -> None: ...

    async def remove_volume(self, name: str) -> None:
        """Remove a volume that outlived its claim."""
        ...


BRISK = NodeSettings(grace_seconds=0.5, linger_seconds=0.2)


class LocalHarness:
    """The embedded cluster, in a folder of the test's own."""

    patience = 20.0

    def __init__(self, folder: Path, node: NodeSettings = BRISK) -> None:
        self.root = folder / "cluster"
        self.cluster = LocalCluster(self.root, slots=4, node=node)

    def shell(self, script: str, *, env: Mapping[str, str] | None = None, memory: int = 256 << 20) -> PodTemplate:
        return PodTemplate(image="local", command=("sh", "-c", script), env=env or {}, memory=memory)

    async def create_pod(self, namespace: str, name: str, template: PodTemplate) -> None:
        await self.cluster.create_pod(namespace, name, template)

    async def create_claim(self, namespace: str, name: str, *, retain: bool = False, finalizer: str = "") -> None:
        await self.cluster.create_volume_claim(
            namespace,
            name,
            reclaim_policy="Retain" if retain else "Delete",
            finalizers=(finalizer,) if finalizer else (),
        )

    async def remove_claim_finalizer(self, namespace: str, name: str, finalizer: str) -> None:
        await self.cluster.remove_claim_finalizer(namespace, name, finalizer)

    async def remove_volume(self, name: str) -> None:
        await self.cluster.delete_volume(name)

    def close(self) -> None:
        wait_for_node_to_leave(self.root)


ADAPTERS = ("kubernetes",) if os.environ.get("LIVECALC_TEST_KUBECONFIG") else ("local",)


@asynccontextmanager
async def open_harness(adapter: str, folder: Path) -> AsyncGenerator[Harness, None]:
    """Open a cluster; what was started for it has stopped when it is closed."""
    if adapter == "kubernetes":
        from contracts.kubernetes_harness import open_kubernetes_harness

        async with open_kubernetes_harness() as harness:
            yield harness
        return
    local = LocalHarness(folder)
    yield local
    await asyncio.to_thread(local.close)


def wait_for_node_to_leave(root: Path, within: float = 20.0) -> None:
    """Wait until no node holds the lock of a local cluster; it leaves by itself when nothing is left to do."""
    end = time.monotonic() + within
    lock = os.open(root / "node.lock", os.O_RDWR | os.O_CREAT)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                assert time.monotonic() < end, f"the node of {root} still runs"
                time.sleep(0.01)
    finally:
        os.close(lock)


class Wish(TypedDict, total=False):
    """What a test may want of a job."""

    name: str
    partitions: int
    retries: int
    final_exits: frozenset[int]
    deadline_seconds: float
    env: Mapping[str, str]
    memory: int


class Place:
    """One namespace of a test's own, and what tests do in it over and over."""

    def __init__(self, harness: Harness, name: str) -> None:
        self.harness = harness
        self.cluster = harness.cluster
        self.name = name

    async def record(self) -> NamespaceRecord:
        return await self.cluster.get_namespace(self.name)

    async def delete(self) -> NamespaceRecord:
        """Begin to delete the namespace; returns it as it was."""
        record = await self.record()
        await self.cluster.delete_namespace(record, ArchiveWaiver(namespace_uid=record.uid, reason="test"))
        return record

    async def is_gone(self) -> bool:
        try:
            await self.record()
        except NotFound:
            return True
        return False

    async def run(self, script: str, **wish: Unpack[Wish]) -> ClusterJob:
        """Create a job of shell pods: `job`, one partition, no retries, unless something else is wished."""
        template = self.harness.shell(script, env=wish.get("env"), memory=wish.get("memory", 256 << 20))
        spec = JobSpec(
            name=wish.get("name", "job"),
            partitions=wish.get("partitions", 1),
            template=template,
            retries=wish.get("retries", 0),
            final_exits=wish.get("final_exits", frozenset()),
            deadline_seconds=wish.get("deadline_seconds", 300.0),
        )
        return await self.cluster.create_job(self.name, spec)

    async def job(self, name: str = "job") -> ClusterJob:
        return next(job for job in await self.cluster.list_jobs(self.name) if job.name == name)

    async def finished(self, name: str = "job") -> ClusterJob:
        """Wait for the end of a job."""
        return await self.soon(lambda: self._finished(name))

    async def _finished(self, name: str) -> ClusterJob | None:
        job = await self.job(name)
        return job if job.state in {"succeeded", "failed"} else None

    async def pods(self) -> list[PodRecord]:
        return await self.cluster.list_pods(self.name)

    async def running(self, count: int = 1) -> list[PodRecord]:
        """Wait until so many pods run."""
        return await self.soon(lambda: self._running(count))

    async def _running(self, count: int) -> list[PodRecord] | None:
        pods = [pod for pod in await self.pods() if pod.phase == "Running"]
        return pods if len(pods) >= count else None

    async def ended(self, pod: str) -> PodRecord:
        """Wait for the end of a pod."""
        return await self.soon(lambda: self._ended(pod))

    async def _ended(self, name: str) -> PodRecord | None:
        pod = next(pod for pod in await self.pods() if pod.name == name)
        return None if pod.alive else pod

    async def log(self, pod: str, *, follow: bool = False) -> bytes:
        return b"".join([chunk async for chunk in self.cluster.read_log(self.name, pod, follow=follow)])

    async def soon(self, probe: Callable[[], Awaitable[T | None]]) -> T:
        """Wait until the probe answers something true."""
        answer = await eventually(probe, within=self.harness.patience)
        assert answer is not None
        return answer


def new_name() -> str:
    """A namespace's name that nothing else has."""
    return f"livecalc-bucket-test-{uuid4().hex[:12]}"
