"""The cluster port over a Kubernetes API server."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import datetime

from livecalc.cluster.kubernetes import events, jobs, logs, namespaces, pods, storage
from livecalc.cluster.kubernetes.api import Api, Call
from livecalc.cluster.kubernetes.cell import create_cell, furnish_cell
from livecalc.cluster.kubernetes.connect import Access, connect
from livecalc.cluster.kubernetes.objects import ServerVersion
from livecalc.cluster.kubernetes.retry import Patience
from livecalc.cluster.kubernetes.settings import CellSettings, PodSettings
from livecalc.cluster.kubernetes.targets import VERSION
from livecalc.cluster.kubernetes.targets import pods as pods_of
from livecalc.cluster.port import (
    MAIN_CONTAINER,
    ClusterJob,
    EventRecord,
    JobSpec,
    NamespaceList,
    PodRecord,
    VolumeClaimRecord,
    VolumeRecord,
)
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.receipts import ArchiveReceipt, ArchiveWaiver


@asynccontextmanager
async def open_kubernetes(
    access: Access,
    *,
    slots: int,
    cell: CellSettings,
    pods: PodSettings | None = None,
    patience: Patience | None = None,
) -> AsyncGenerator["KubernetesCluster", None]:
    """Open the cluster that a kubeconfig or this pod's service account gives access to; no request is sent yet.

    `slots` is how many pods of ours it can run at once. Raises InvalidInput for a configuration that cannot be used.
    """
    cluster = KubernetesCluster(Api(await connect(access), patience), slots, cell, pods or PodSettings())
    try:
        yield cluster
    finally:
        await cluster.close()


class KubernetesCluster:
    """A cluster behind an API server. What we lack the right for is Unavailable, and its sentence names the right."""

    def __init__(self, api: Api, slots: int, cell: CellSettings, pods: PodSettings) -> None:
        self._api = api
        self._slots = slots
        self._cell = cell
        self._pods = pods

    @property
    def name(self) -> str:
        """`kubernetes, context NAME` or `kubernetes, in cluster`."""
        return self._api.cluster

    @property
    def slots(self) -> int:
        """As it was given: the nodes' sizes are not ours to read."""
        return self._slots

    async def version(self) -> str:
        """The API server's: `v1.35.4`."""
        return (await self._api.send(Call(verb="get", target=VERSION))).read(ServerVersion).git_version

    async def now(self) -> datetime:
        """The API server's clock, in whole seconds."""
        answer = await self._api.send(Call(verb="get", target=VERSION))
        answer.good()
        return answer.moment

    async def create_namespace(
        self, name: str, *, labels: Mapping[str, str], annotations: Mapping[str, str]
    ) -> NamespaceRecord:
        """As the port says, with its walls. Raises InvalidInput for what Kubernetes does not take."""
        return await create_cell(self._api, name, labels, annotations, self._cell)

    async def get_namespace(self, name: str) -> NamespaceRecord:
        """As the port says."""
        return await namespaces.get_namespace(self._api, name)

    async def list_namespaces(self, labels: Mapping[str, str]) -> NamespaceList:
        """As the port says. Raises Unavailable when not even a first page can be read."""
        return await namespaces.list_namespaces(self._api, labels)

    async def patch_namespace(
        self,
        record: NamespaceRecord,
        *,
        annotations: Mapping[str, str | None] | None = None,
        add_finalizer: str | None = None,
        remove_finalizer: str | None = None,
        any_version: bool = False,
    ) -> NamespaceRecord:
        """As the port says. Raises InvalidInput for what Kubernetes does not take."""
        finalizers = (add_finalizer, remove_finalizer)
        return await namespaces.patch_namespace(
            self._api, record, annotations or {}, finalizers, any_version=any_version
        )

    async def delete_namespace(self, record: NamespaceRecord, receipt: ArchiveReceipt | ArchiveWaiver) -> None:
        """As the port says."""
        await namespaces.delete_namespace(self._api, record, receipt)

    async def list_pods(self, namespace: str) -> list[PodRecord]:
        """As the port says."""
        return await pods.list_pods(self._api, namespace)

    async def read_log(
        self, namespace: str, pod: str, container: str = MAIN_CONTAINER, *, previous: bool = False, follow: bool = False
    ) -> AsyncIterator[bytes]:
        """As the port says. Raises Unavailable when it is cut off."""
        target = pods_of(namespace).at(pod)
        async with aclosing(logs.read_log(self._api, target, container, previous=previous, follow=follow)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def annotate_pod(self, namespace: str, pod: str, annotations: Mapping[str, str]) -> None:
        """As the port says. Raises InvalidInput for what Kubernetes does not take."""
        await pods.annotate_pod(self._api, namespace, pod, annotations)

    async def list_events(self, namespace: str) -> list[EventRecord]:
        """As the port says."""
        return await events.list_events(self._api, namespace)

    async def list_volume_claims(self, namespace: str) -> list[VolumeClaimRecord]:
        """As the port says."""
        return await storage.list_volume_claims(self._api, namespace)

    async def list_volumes(self) -> list[VolumeRecord]:
        """As the port says."""
        return await storage.list_volumes(self._api)

    async def create_job(self, namespace: str, spec: JobSpec) -> ClusterJob:
        """As the port says; the namespace's walls are seen to first, lest somebody was killed while he made them."""
        await furnish_cell(self._api, namespace, self._cell)
        return await jobs.create_job(self._api, namespace, spec, self._pods)

    async def list_jobs(self, namespace: str) -> list[ClusterJob]:
        """As the port says."""
        return await jobs.list_jobs(self._api, namespace)

    async def cancel_job(self, namespace: str, name: str) -> None:
        """As the port says."""
        await jobs.cancel_job(self._api, namespace, name)

    async def delete_job(self, namespace: str, name: str) -> None:
        """As the port says."""
        await jobs.delete_job(self._api, namespace, name)

    async def close(self) -> None:
        """Let go of connections."""
        await self._api.close()
