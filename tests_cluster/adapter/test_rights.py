"""What a worker's account may do, tried on the real API server; and the sentences for rights that are missing."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from adapter.tokens import credentials_of, token_of
from contracts.cluster_harness import Place
from contracts.kubernetes_harness import CELL, PODS, KubernetesHarness

from livecalc.cluster.kubernetes import Access, KubernetesCluster
from livecalc.cluster.kubernetes.api import Api, Call
from livecalc.cluster.kubernetes.connect import connect
from livecalc.cluster.kubernetes.targets import NAMESPACES, pods
from livecalc.cluster.port import JobSpec
from livecalc.domain.errors import InvalidInput, LivecalcError, NotFound, Unavailable
from livecalc.domain.receipts import ArchiveWaiver

pytestmark = pytest.mark.anyio

EARLY, LATE = "2026-01-25T01:00:00Z", "2026-01-25T01:05:00Z"


@pytest.fixture
async def own(place: Place, harness: KubernetesHarness) -> str:
    """The name of the worker's own pod."""
    await place.cluster.patch_namespace(await place.record(), annotations={"last-activity": EARLY, "status": "active"})
    await harness.create_pod(place.name, "own", harness.shell("exit 0"))
    return "own"


@pytest.fixture
async def api(place: Place, harness: KubernetesHarness, own: str, tmp_path: Path) -> AsyncIterator[Api]:
    """The API server as that pod's worker sees it."""
    (pod,) = await place.pods()
    credentials = await credentials_of(harness, place.name, pod=own, uid=pod.uid)
    api = Api(await connect(Access(kubeconfig=credentials.kubeconfig(tmp_path))))
    await place.soon(lambda: _is_confined(api, place.name))
    yield api
    await api.close()


@pytest.fixture
def worker(api: Api) -> KubernetesCluster:
    return KubernetesCluster(api, 1, CELL, PODS)


async def test_a_worker_may_tell_that_it_is_active(place: Place, worker: KubernetesCluster) -> None:
    record = await worker.get_namespace(place.name)

    after = await worker.patch_namespace(record, annotations={"last-activity": LATE})

    assert after == await place.record()
    assert after.annotations["last-activity"] == LATE


@pytest.mark.parametrize(
    "annotations",
    [
        {"last-activity": "2026-01-25T00:59:59Z"},
        {"last-activity": "soon"},
        {"last-activity": None},
        {"last-activity": LATE, "status": "finalized"},
        {"status": None},
        {"new": "x"},
    ],
)
async def test_a_worker_may_say_nothing_else_of_its_namespace(
    place: Place, worker: KubernetesCluster, annotations: dict[str, str | None]
) -> None:
    before = await place.record()

    with pytest.raises(InvalidInput, match=r"may change nothing of its namespace|last-activity is a time"):
        await worker.patch_namespace(before, annotations=annotations)
    assert await place.record() == before


async def test_a_worker_may_not_hold_or_relabel_its_namespace(
    place: Place, api: Api, worker: KubernetesCluster
) -> None:
    before = await place.record()

    with pytest.raises(InvalidInput, match="may change nothing of its namespace"):
        await worker.patch_namespace(before, add_finalizer="example.com/hold")
    relabelled = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    answer = await api.send(Call(verb="patch", target=NAMESPACES.at(place.name), body=relabelled))
    assert b"may change nothing of its namespace" in answer.body
    assert await place.record() == before


async def test_a_worker_may_annotate_its_own_pod(place: Place, worker: KubernetesCluster, own: str) -> None:
    said = {"livecalc.io/progress": "1/10", "memory-sentinel-violations": "offset:1,expected:0xAB,actual:0x12"}

    await worker.annotate_pod(place.name, own, said)

    (pod,) = await place.pods()
    assert said.items() <= pod.annotations.items()


@pytest.mark.parametrize(
    "annotations",
    [
        {"livecalc.io/progress": "half"},
        {"other": "x"},
        {"memory-sentinel-violations": "ü" * (8 << 10) + "x"},
    ],
)
async def test_a_worker_may_say_nothing_else_of_its_pod(
    place: Place, worker: KubernetesCluster, own: str, annotations: dict[str, str]
) -> None:
    with pytest.raises(InvalidInput, match=r"may change nothing of its pod|progress looks like|at most 16 KiB"):
        await worker.annotate_pod(place.name, own, annotations)


async def test_a_worker_may_not_annotate_another_pod(
    place: Place, harness: KubernetesHarness, worker: KubernetesCluster
) -> None:
    await harness.create_pod(place.name, "another", harness.shell("exit 0"))

    with pytest.raises(InvalidInput, match="no pod but its own"):
        await worker.annotate_pod(place.name, "another", {"livecalc.io/progress": "1/1"})


async def test_a_worker_may_not_touch_labels_of_its_pod(place: Place, api: Api, own: str) -> None:
    body = {"metadata": {"labels": {"livecalc.io/job-id": "j-01jdx4m8k3q7"}}}

    answer = await api.send(Call(verb="patch", target=pods(place.name).at(own), body=body))

    assert b"may change nothing of its pod" in answer.body


async def test_what_a_worker_may_not_do_is_told(place: Place, worker: KubernetesCluster) -> None:
    record = await place.record()
    spec = JobSpec(name="job", partitions=1, template=place.harness.shell("exit 0"), deadline_seconds=60)
    there = f"in namespace {place.name}: apply k8s/api/worker-role.yaml"

    async def log() -> None:
        _ = [chunk async for chunk in worker.read_log(place.name, "own")]

    for attempt, sentence in (
        (worker.list_pods(place.name), f"worker may not list pods {there}"),
        (worker.list_jobs(place.name), f"worker may not list jobs {there}"),
        (worker.list_events("default"), "worker may not list events in namespace default: "),
        (worker.list_volume_claims(place.name), f"worker may not list persistentvolumeclaims {there}"),
        (worker.list_volumes(), "worker may not list persistentvolumes: apply k8s/api/worker-role.yaml"),
        (worker.list_namespaces({}), "worker may not list namespaces: apply k8s/api/worker-role.yaml"),
        (worker.get_namespace("default"), "worker may not get namespaces: apply k8s/api/worker-role.yaml"),
        (worker.create_namespace("x", labels={}, annotations={}), "worker may not create namespaces: "),
        (worker.create_job(place.name, spec), "worker may not get endpointslices in namespace default: "),
        (worker.delete_job(place.name, "job"), f"worker may not delete jobs {there}"),
        (log(), f"worker may not get pods/log {there}"),
        (
            worker.delete_namespace(record, ArchiveWaiver(namespace_uid=record.uid, reason="test")),
            "worker may not delete namespaces: apply k8s/api/worker-role.yaml",
        ),
    ):
        with pytest.raises(Unavailable) as failed:
            await attempt
        assert failed.value.detail.startswith(sentence)


async def test_the_token_ends_with_its_pod(
    place: Place, harness: KubernetesHarness, worker: KubernetesCluster, own: str
) -> None:
    await worker.get_namespace(place.name)
    await harness.remove_pod(place.name, own)

    assert await place.soon(lambda: _is_refused(worker, place.name))
    with pytest.raises(NotFound):
        await token_of(harness, place.name, pod=own, uid="a")


async def _is_refused(worker: KubernetesCluster, namespace: str) -> bool:
    try:
        await worker.get_namespace(namespace)
    except LivecalcError as error:
        return "it does not know the credentials" in error.detail
    return False


async def _is_confined(api: Api, namespace: str) -> bool:
    """Tell whether the API server has heard of the policies; it takes a moment."""
    body = {"metadata": {"labels": {"not-allowed": uuid4().hex}}}
    answer = await api.send(Call(verb="patch", target=NAMESPACES.at(namespace), body=body))
    return b"may change nothing of its namespace" in answer.body
