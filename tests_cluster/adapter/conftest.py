"""The cluster that LIVECALC_TEST_KUBECONFIG names, straight and through a proxy that fails."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from adapter.fault_proxy import FaultProxy, fault_proxy, kubeconfig_of
from contracts.cluster_harness import Place, new_name
from contracts.kubernetes_harness import CELL, KUBECONFIG, PODS, KubernetesHarness, open_kubernetes_harness

from livecalc.cluster.kubernetes import Access, KubernetesCluster
from livecalc.cluster.kubernetes.api import Api
from livecalc.cluster.kubernetes.connect import connect
from livecalc.cluster.kubernetes.retry import Patience
from livecalc.domain.errors import NotFound


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="package")
async def harness() -> AsyncIterator[KubernetesHarness]:
    async with open_kubernetes_harness() as harness:
        for file in ("k8s/api/worker-role.yaml", "k8s/policies/worker.yaml"):
            await harness.apply(file)
        yield harness


@pytest.fixture
async def place(harness: KubernetesHarness) -> AsyncIterator[Place]:
    place = Place(harness, new_name())
    await harness.cluster.create_namespace(place.name, labels={"app": "livecalc"}, annotations={})
    yield place
    with suppress(NotFound):
        await place.delete()


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    async with fault_proxy(KUBECONFIG) as proxy:
        yield proxy


@pytest.fixture
async def faulty(proxy: FaultProxy, tmp_path: Path) -> AsyncIterator[KubernetesCluster]:
    """The same cluster as the harness's, reached through the proxy."""
    access = Access(kubeconfig=str(kubeconfig_of(proxy, tmp_path)))
    patience = Patience(pause=0.02, longest_pause=0.1, whole=10.0)
    api = Api(await connect(access), patience, page=2)
    yield KubernetesCluster(api, 4, CELL, PODS)
    await api.close()
