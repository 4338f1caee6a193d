"""A real Kubernetes cluster for the suite in `cluster/`: the one that LIVECALC_TEST_KUBECONFIG names."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from msgspec import Struct, field, structs, yaml
from support.waiting import eventually

from livecalc.cluster.kubernetes import Access, CellSettings, KubernetesCluster, PodSettings
from livecalc.cluster.kubernetes.api import OWNED, Api, Call
from livecalc.cluster.kubernetes.connect import connect
from livecalc.cluster.kubernetes.manifests import pod_spec
from livecalc.cluster.kubernetes.targets import VOLUMES, Target, inside, pods
from livecalc.cluster.port import PodTemplate
from livecalc.domain.errors import AlreadyExists
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.receipts import ArchiveReceipt, ArchiveWaiver

KUBECONFIG = os.environ.get("LIVECALC_TEST_KUBECONFIG", "")
IMAGE = os.environ.get("LIVECALC_TEST_IMAGE", "localhost/busybox:1")
"""Any image with a shell and the tools of busybox."""
CELL = CellSettings(egress=(ip_network("192.0.2.0/24"),))
PODS = PodSettings(grace_seconds=2)

_ROOT = Path(__file__).resolve().parents[2]
_CLASSES = Target(resource="storageclasses", group="storage.k8s.io")
_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_RETAIN = "livecalc-test-retain"


class PunctualCluster(KubernetesCluster):
    """Comes back from a delete when the namespace controller has begun with it, a moment after the API server did."""

    async def delete_namespace(self, record: NamespaceRecord, receipt: ArchiveReceipt | ArchiveWaiver) -> None:
        await super().delete_namespace(record, receipt)
        await eventually(lambda: self._is_begun(record.name), within=30)

    async def _is_begun(self, namespace: str) -> bool:
        return all(pod.deletion_timestamp for pod in await self.list_pods(namespace) if pod.alive)


class _Meta(Struct, frozen=True):
    annotations: dict[str, str] = field(default_factory=dict[str, str])


class _StorageClass(Struct, frozen=True, omit_defaults=True):
    metadata: _Meta
    provisioner: str
    parameters: dict[str, str] = field(default_factory=dict[str, str])


class _Classes(Struct, frozen=True):
    items: list[_StorageClass]


class KubernetesHarness:
    """The cluster, and an administrator's hand for what the port does not offer."""

    patience = 120.0

    def __init__(self, api: Api) -> None:
        self.api = api
        self.cluster = PunctualCluster(api, 4, CELL, PODS)

    def shell(self, script: str, *, env: Mapping[str, str] | None = None, memory: int = 256 << 20) -> PodTemplate:
        return PodTemplate(image=IMAGE, command=("sh", "-c", script), env=env or {}, memory=memory, cpu=0.2)

    async def create_pod(self, namespace: str, name: str, template: PodTemplate) -> None:
        small = structs.replace(template, cpu=0.1, memory=min(template.memory, 256 << 20))
        await self.make(pods(namespace), {"metadata": {"name": name}, "spec": pod_spec(small, PODS)})

    async def create_claim(self, namespace: str, name: str, *, retain: bool = False, finalizer: str = "") -> None:
        spec: dict[str, object] = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
        }
        if retain:
            spec["storageClassName"] = _RETAIN
        meta = {"name": name, "finalizers": [finalizer] if finalizer else []}
        await self.make(inside(namespace, "persistentvolumeclaims"), {"metadata": meta, "spec": spec})

    async def remove_claim_finalizer(self, namespace: str, name: str, finalizer: str) -> None:
        body = {"metadata": {"$deleteFromPrimitiveList/finalizers": [finalizer]}}
        claim = inside(namespace, "persistentvolumeclaims").at(name)
        (await self.api.send(Call(verb="patch", target=claim, body=body))).good()

    async def remove_volume(self, name: str) -> None:
        (await self.api.send(Call(verb="delete", target=VOLUMES.at(name)))).good()

    async def apply(self, file: str) -> None:
        """Apply the objects of a file of the project, which belong to no namespace."""
        for document in (_ROOT / file).read_text().split("\n---\n"):
            body = yaml.decode(document, type=dict[str, Any])
            kind = body["kind"].lower()
            resource = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
            target = Target(resource=resource, group=body["apiVersion"].partition("/")[0]).at(body["metadata"]["name"])
            (await self.api.send(Call(verb="apply", target=target, query=OWNED, body=body))).good()

    async def make_retaining_class(self) -> None:
        """Like the default class, but its volumes outlive their claims."""
        classes = (await self.api.send(Call(verb="list", target=_CLASSES))).read(_Classes)
        default = next(each for each in classes.items if each.metadata.annotations.get(_DEFAULT) == "true")
        body = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": _RETAIN},
            "provisioner": default.provisioner,
            "parameters": default.parameters,
            "reclaimPolicy": "Retain",
        }
        with suppress(AlreadyExists):
            await self.make(_CLASSES, body)

    async def remove_pod(self, namespace: str, name: str) -> None:
        """Delete a pod at once."""
        body = {"gracePeriodSeconds": 0}
        (await self.api.send(Call(verb="delete", target=pods(namespace).at(name), body=body))).good()

    async def make(self, target: Target, body: object) -> None:
        (await self.api.send(Call(verb="create", target=target, body=body))).good()


@asynccontextmanager
async def open_kubernetes_harness() -> AsyncGenerator[KubernetesHarness, None]:
    """Open the cluster that LIVECALC_TEST_KUBECONFIG names; nothing of it is started or stopped here."""
    if not KUBECONFIG:
        raise RuntimeError("LIVECALC_TEST_KUBECONFIG names no cluster, and no other is taken by chance: make cluster")
    api = Api(await connect(Access(kubeconfig=KUBECONFIG)))
    try:
        harness = KubernetesHarness(api)
        await harness.make_retaining_class()
        yield harness
    finally:
        await api.close()
