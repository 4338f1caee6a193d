"""The cluster port over a home on this machine. Each call is one transaction in a thread, then a look for a node."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from msgspec import structs

import livecalc
from livecalc.cluster.local import namespaces, storage, workloads
from livecalc.cluster.local.clock import cluster_time
from livecalc.cluster.local.home import Home
from livecalc.cluster.local.launch import ensure_node, ring
from livecalc.cluster.local.logs import LogReader, begin_log
from livecalc.cluster.local.pending import is_pending
from livecalc.cluster.local.records import moment
from livecalc.cluster.local.settings import NodeSettings
from livecalc.cluster.local.store import Connection, Store
from livecalc.cluster.port import (
    MAIN_CONTAINER,
    ClusterJob,
    EventRecord,
    JobSpec,
    NamespaceList,
    PodRecord,
    PodTemplate,
    VolumeClaimRecord,
    VolumeRecord,
)
from livecalc.domain.errors import NotFound, Unavailable
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.receipts import ArchiveReceipt, ArchiveWaiver

T = TypeVar("T")

_logger = logging.getLogger(__name__)

_THREADS = 4
_FOLLOW_SECONDS = 0.05


class LocalCluster:
    """A cluster of one machine; its state is in a folder, and any number of processes may use it at once.

    Every method may also raise Damaged: the folder's database is not what it should be.
    """

    def __init__(self, root: Path, *, slots: int | None = None, node: NodeSettings | None = None) -> None:
        """Use the cluster at `root`, which is made when it is first asked for something.

        `slots` is how many pods may run at once, by default one per core. Settings count for a node that is started
        from here; one that runs keeps its own.
        """
        settings = node or NodeSettings()
        self._settings = (settings._replace(slots=slots) if slots is not None else settings).filled()
        self._home = Home(root)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="livecalc-cluster")
        self._local = threading.local()
        self._stores: list[Store] = []
        self._opening = threading.Lock()
        self._warned = ""

    @property
    def name(self) -> str:
        """`local`."""
        return "local"

    @property
    def slots(self) -> int:
        """How many pods it runs at once."""
        return self._settings.slots

    async def version(self) -> str:
        """This program's own: a node runs the code of whoever started it."""
        return f"livecalc {livecalc.__version__}"

    async def now(self) -> datetime:
        """The machine's clock, even where this process's own is shifted."""
        return moment(cluster_time())

    async def create_namespace(
        self, name: str, *, labels: Mapping[str, str], annotations: Mapping[str, str]
    ) -> NamespaceRecord:
        """As the port says. Raises InvalidInput for what Kubernetes would not take."""
        return await self._write(lambda db, now: namespaces.create_namespace(db, name, labels, annotations, now))

    async def get_namespace(self, name: str) -> NamespaceRecord:
        """As the port says."""
        return await self._read(lambda db: namespaces.get_namespace(db, name))

    async def list_namespaces(self, labels: Mapping[str, str]) -> NamespaceList:
        """As the port says; always complete."""
        items = await self._read(lambda db: namespaces.list_namespaces(db, labels))
        return NamespaceList(items=items, complete=True)

    async def patch_namespace(
        self,
        record: NamespaceRecord,
        *,
        annotations: Mapping[str, str | None] | None = None,
        add_finalizer: str | None = None,
        remove_finalizer: str | None = None,
        any_version: bool = False,
    ) -> NamespaceRecord:
        """As the port says. Raises Conflict (a terminating namespace takes no new finalizer), InvalidInput."""
        finalizers = (add_finalizer, remove_finalizer)
        return await self._write(
            lambda db, _: namespaces.patch_namespace(
                db, record, annotations or {}, finalizers, any_version=any_version
            ),
        )

    async def delete_namespace(self, record: NamespaceRecord, receipt: ArchiveReceipt | ArchiveWaiver) -> None:
        """As the port says."""
        await self._write(lambda db, now: namespaces.delete_namespace(db, record, receipt, now))

    async def list_pods(self, namespace: str) -> list[PodRecord]:
        """As the port says."""
        return await self._read(lambda db: workloads.list_pods(db, namespace))

    async def read_log(
        self, namespace: str, pod: str, container: str = MAIN_CONTAINER, *, previous: bool = False, follow: bool = False
    ) -> AsyncIterator[bytes]:
        """As the port says."""
        if container != MAIN_CONTAINER or previous:
            await self._read(lambda db: workloads.get_pod(db, namespace, pod))
            instance = "previous instance of " if previous else ""
            raise NotFound(f"there is no {instance}container {container} in pod {pod} of namespace {namespace}")
        record, reader, chunk = await self._open_log(namespace, pod, follow=follow)
        try:
            if chunk:
                yield chunk
            while True:
                going_on = follow and await self._is_alive(record)
                while not reader.is_at_end and (chunk := await self._run(reader.read)):
                    yield chunk
                if not going_on:
                    return
                await asyncio.sleep(_FOLLOW_SECONDS)
        finally:
            reader.close()

    async def _open_log(self, namespace: str, pod: str, *, follow: bool) -> tuple[PodRecord, LogReader, bytes]:
        """Open a log, and read its first chunk: most have no other, and each hop to a thread costs more than a read."""

        def begin(db: Connection) -> tuple[PodRecord, LogReader, bytes] | None:
            record = workloads.get_pod(db, namespace, pod)
            try:
                return record, *begin_log(self._home.pod(record.uid).log, follow=follow)
            except FileNotFoundError:
                if record.phase == "Running" and record.alive:
                    return None
                raise NotFound(f"pod {pod} of namespace {namespace} has no log") from None

        while (begun := await self._read(begin)) is None:  # noqa: ASYNC110  (another process starts it)
            # A node marks a pod as running before it starts it, so that no kill between the two can start it twice.
            await asyncio.sleep(_FOLLOW_SECONDS)
        return begun

    async def annotate_pod(self, namespace: str, pod: str, annotations: Mapping[str, str]) -> None:
        """As the port says. Raises InvalidInput for what Kubernetes would not take."""
        await self._write(lambda db, _: workloads.annotate_pod(db, namespace, pod, annotations))

    async def list_events(self, namespace: str) -> list[EventRecord]:
        """As the port says; those of volumes are in `default`."""
        return await self._read(lambda db: workloads.list_events(db, namespace))

    async def list_volume_claims(self, namespace: str) -> list[VolumeClaimRecord]:
        """As the port says."""
        return await self._read(lambda db: workloads.list_claims(db, namespace))

    async def list_volumes(self) -> list[VolumeRecord]:
        """As the port says."""
        return await self._read(storage.list_volumes)

    async def create_job(self, namespace: str, spec: JobSpec) -> ClusterJob:
        """As the port says. Raises InvalidInput for what Kubernetes would not take."""
        return await self._write(lambda db, now: workloads.create_job(db, namespace, spec, now))

    async def list_jobs(self, namespace: str) -> list[ClusterJob]:
        """As the port says."""
        return await self._read(lambda db: workloads.list_jobs(db, namespace))

    async def cancel_job(self, namespace: str, name: str) -> None:
        """As the port says."""
        await self._write(lambda db, now: workloads.cancel_job(db, namespace, name, now))

    async def delete_job(self, namespace: str, name: str) -> None:
        """As the port says."""
        await self._write(lambda db, now: workloads.delete_job(db, namespace, name, now))

    async def close(self) -> None:
        """Let go of the database. The node goes on with what it has to do."""
        await asyncio.to_thread(self._threads.shutdown)
        for store in self._stores:
            store.close()
        self._stores.clear()

    async def create_pod(
        self, namespace: str, name: str, template: PodTemplate, labels: Mapping[str, str] | None = None
    ) -> PodRecord:
        """Create a pod of no job, which is never started again.

        Raises AlreadyExists, NotFound, Conflict (the namespace is terminating), InvalidInput.
        """
        labelled = structs.replace(template, labels={**template.labels, **(labels or {})})
        return await self._write(
            lambda db, now: workloads.create_pod(db, namespace, name, labelled, now),
        )

    async def create_volume_claim(
        self,
        namespace: str,
        name: str,
        *,
        reclaim_policy: storage.ReclaimPolicy = "Delete",
        finalizers: tuple[str, ...] = (),
    ) -> VolumeClaimRecord:
        """Create a claim; a volume with this reclaim policy is made for it and bound.

        Raises AlreadyExists, NotFound, Conflict (the namespace is terminating), InvalidInput.
        """
        return await self._write(
            lambda db, _: storage.create_claim(db, namespace, name, reclaim_policy, finalizers),
        )

    async def remove_claim_finalizer(self, namespace: str, name: str, finalizer: str) -> None:
        """Take a finalizer from a claim. Raises NotFound."""
        await self._write(lambda db, _: storage.remove_claim_finalizer(db, namespace, name, finalizer))

    async def attach_volume(self, name: str, holder: str) -> None:
        """Note that `holder` still uses a volume: until it is detached, removing it fails. Raises NotFound."""
        await self._write(lambda db, _: storage.attach_volume(db, name, holder))

    async def detach_volume(self, name: str) -> None:
        """Undo `attach_volume`; a volume whose removal failed goes now. Raises NotFound."""
        await self._write(lambda db, _: storage.detach_volume(db, name))

    async def delete_volume(self, name: str) -> None:
        """Remove a volume that is not bound any more, whatever its reclaim policy. Raises NotFound."""
        await self._write(lambda db, _: storage.delete_volume(db, name))

    async def _is_alive(self, pod: PodRecord) -> bool:
        try:
            record = await self._read(lambda db: workloads.get_pod(db, pod.namespace, pod.name))
        except NotFound:
            return False
        return record.uid == pod.uid and record.alive

    async def _read(self, look: Callable[[Connection], T]) -> T:
        def run() -> T:
            store = self._store()
            with store.read() as db:
                answer = look(db)
                pending = is_pending(db, cluster_time())
            if pending:
                self._pick_up()
            return answer

        return await self._run(run)

    async def _write(self, change: Callable[[Connection, float], T]) -> T:
        def run() -> T:
            store, now = self._store(), cluster_time()
            with store.write() as db:
                answer = change(db, now)
                pending = is_pending(db, now)
            if pending:
                ring(self._home)
                self._pick_up()
            return answer

        return await self._run(run)

    def _pick_up(self) -> None:
        """Have what is pending go on, whoever left it.

        A node that does not start is no reason to refuse a look, nor to call a write failed that was committed: it is
        warned of, and what was asked for stays pending until a node starts.
        """
        try:
            ensure_node(self._home, self._settings)
        except Unavailable as error:
            if error.detail != self._warned:
                _logger.warning("No node runs, so what is pending stays so: %s", error.detail)
            self._warned = error.detail

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _store(self) -> Store:
        """This thread's connection."""
        store: Store | None = getattr(self._local, "store", None)
        if store is None:
            store = Store(self._home)
            self._local.store = store
            with self._opening:
                self._stores.append(store)
        return store
