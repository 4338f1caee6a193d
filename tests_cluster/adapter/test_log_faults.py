"""Logs over a bad line: what broke off is never passed off as whole."""

import pytest
from adapter.fault_proxy import Fault, FaultProxy
from contracts.cluster_harness import Place
from contracts.kubernetes_harness import KubernetesHarness

from livecalc.cluster.kubernetes import KubernetesCluster
from livecalc.cluster.kubernetes.manifests import pod_spec
from livecalc.cluster.kubernetes.settings import PodSettings
from livecalc.cluster.kubernetes.targets import pods
from livecalc.cluster.port import PodRecord
from livecalc.domain.errors import NotFound, Unavailable

pytestmark = pytest.mark.anyio


async def log(cluster: KubernetesCluster, place: Place, pod: str) -> bytes:
    return b"".join([chunk async for chunk in cluster.read_log(place.name, pod)])


async def test_a_log_is_asked_for_until_it_begins(place: Place, faulty: KubernetesCluster, proxy: FaultProxy) -> None:
    await place.harness.create_pod(place.name, "pod", place.harness.shell("echo here"))
    await place.ended("pod")
    proxy.faults.append(Fault("GET", "/log?", status=503, times=2))
    proxy.faults.append(Fault("GET", "/log?", drop=True))

    assert await log(faulty, place, "pod") == b"here\n"


async def test_a_log_that_breaks_off_is_unavailable(place: Place, faulty: KubernetesCluster, proxy: FaultProxy) -> None:
    await place.harness.create_pod(place.name, "pod", place.harness.shell("head -c 500000 /dev/zero | tr '\\0' x"))
    await place.ended("pod")
    proxy.faults.append(Fault("GET", "/log?", cut=100_000))

    with pytest.raises(Unavailable, match=r"log of pod pod in namespace .* broke off"):
        await log(faulty, place, "pod")
    assert len(await log(faulty, place, "pod")) == 500_000


async def test_a_log_that_cannot_be_had_is_unavailable(
    place: Place, faulty: KubernetesCluster, proxy: FaultProxy
) -> None:
    await place.harness.create_pod(place.name, "pod", place.harness.shell("echo here"))
    await place.ended("pod")
    proxy.faults.append(Fault("GET", "/log?", status=502, times=9))

    with pytest.raises(Unavailable, match=r"cannot get log of pod pod in namespace .*: it answered 502"):
        await log(faulty, place, "pod")


async def test_a_pod_without_a_node_has_no_log(place: Place, harness: KubernetesHarness) -> None:
    """Of which the API server serves an empty one."""
    spec = pod_spec(harness.shell("exit 0"), PodSettings(node_selector={"no": "such-node"}))
    await harness.make(pods(place.name), {"metadata": {"name": "homeless"}, "spec": spec})
    pod = await place.soon(lambda: _unscheduled(place))

    assert pod.containers[0].state == "waiting"
    assert pod.containers[0].reason == "Unschedulable"
    assert "node" in pod.message
    with pytest.raises(NotFound, match="its container main has not started"):
        await log(harness.cluster, place, "homeless")


async def _unscheduled(place: Place) -> PodRecord | None:
    return next((pod for pod in await place.pods() if pod.reason == "Unschedulable"), None)
