"""What the adapter does when the API server is busy, restarts, forgets, or its answers are lost: real requests."""

import time

import pytest
from adapter.fault_proxy import Fault, FaultProxy
from contracts.cluster_harness import Place, new_name
from contracts.kubernetes_harness import KubernetesHarness

from livecalc.cluster.kubernetes import KubernetesCluster
from livecalc.cluster.port import JobSpec
from livecalc.domain.errors import AlreadyExists, NotFound, PreconditionFailed, Unavailable
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.receipts import ArchiveWaiver

pytestmark = pytest.mark.anyio

FINALIZER = "livecalc.io/reap"
MANY = 7
"""More than the adapter tries."""


def waiver(uid: str) -> ArchiveWaiver:
    return ArchiveWaiver(namespace_uid=uid, reason="test")


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
async def test_a_busy_server_is_asked_again(
    place: Place, faulty: KubernetesCluster, proxy: FaultProxy, code: int
) -> None:
    proxy.faults.append(Fault("GET", place.name, status=code, times=2))

    assert await faulty.get_namespace(place.name) == await place.record()
    assert proxy.count("GET", place.name) == 3


async def test_the_server_says_how_long_to_wait(place: Place, faulty: KubernetesCluster, proxy: FaultProxy) -> None:
    proxy.faults.append(Fault("GET", place.name, status=429, headers={"Retry-After": "1"}))
    begun = time.monotonic()

    await faulty.get_namespace(place.name)

    assert time.monotonic() - begun >= 1


async def test_a_server_that_stays_busy_is_unavailable(faulty: KubernetesCluster, proxy: FaultProxy) -> None:
    proxy.faults.append(Fault("GET", "/api/v1/namespaces/q4", status=503, reason="ServiceUnavailable", times=MANY))

    with pytest.raises(Unavailable) as failed:
        await faulty.get_namespace("q4")

    assert failed.value.detail == (
        "kubernetes, context faulty: cannot get namespace q4: it answered 503 (as the test asked)"
    )


async def test_a_server_that_cuts_every_connection_is_unavailable(faulty: KubernetesCluster, proxy: FaultProxy) -> None:
    proxy.faults.append(Fault("GET", "/version", drop=True, times=2 * MANY))

    with pytest.raises(Unavailable, match="cannot get version: it does not answer"):
        await faulty.version()


async def test_an_answer_that_breaks_off_is_asked_for_again(
    place: Place, faulty: KubernetesCluster, proxy: FaultProxy
) -> None:
    proxy.faults.append(Fault("GET", place.name, cut=20))

    assert await faulty.get_namespace(place.name) == await place.record()


async def test_the_echo_of_an_own_creation_is_known(
    harness: KubernetesHarness, faulty: KubernetesCluster, proxy: FaultProxy
) -> None:
    name = new_name()
    proxy.faults.append(Fault("POST", "/api/v1/namespaces?", lose=True))

    made = await faulty.create_namespace(name, labels={"app": "livecalc"}, annotations={"a": "1"})

    assert made == await harness.cluster.get_namespace(name)
    assert proxy.count("POST", "/api/v1/namespaces?") == 2
    await harness.cluster.delete_namespace(made, waiver(made.uid))


async def test_the_echo_of_anothers_creation_is_not_taken_for_ones_own(
    place: Place, faulty: KubernetesCluster, proxy: FaultProxy
) -> None:
    proxy.faults.append(Fault("POST", "/api/v1/namespaces?", lose=True))

    with pytest.raises(AlreadyExists):
        await faulty.create_namespace(place.name, labels={"app": "livecalc"}, annotations={})


async def test_the_echo_of_an_own_job_is_known(place: Place, faulty: KubernetesCluster, proxy: FaultProxy) -> None:
    spec = JobSpec(name="job", partitions=1, template=place.harness.shell("exit 0"), deadline_seconds=60)
    proxy.faults.append(Fault("POST", "/jobs?", lose=True))

    made = await faulty.create_job(place.name, spec)

    assert [job.uid for job in await place.cluster.list_jobs(place.name)] == [made.uid]


async def test_the_echo_of_an_own_patch_is_known(place: Place, faulty: KubernetesCluster, proxy: FaultProxy) -> None:
    before = await place.record()
    proxy.faults.append(Fault("PATCH", place.name, lose=True))

    after = await faulty.patch_namespace(before, annotations={"a": "1", "gone": None}, add_finalizer=FINALIZER)

    assert after == await place.record()
    assert (after.annotations, after.finalizers) == ({"a": "1"}, (FINALIZER,))
    await place.cluster.patch_namespace(after, remove_finalizer=FINALIZER)


async def test_a_lost_patch_and_anothers_write_is_a_changed_namespace(
    place: Place, faulty: KubernetesCluster, proxy: FaultProxy
) -> None:
    old = await place.record()
    await place.cluster.patch_namespace(old, annotations={"by": "another"})
    proxy.faults.append(Fault("PATCH", place.name, lose=True))

    with pytest.raises(PreconditionFailed):
        await faulty.patch_namespace(old, annotations={"by": "me"})
    assert (await place.record()).annotations == {"by": "another"}


async def test_the_last_finalizer_is_taken_once(place: Place, faulty: KubernetesCluster, proxy: FaultProxy) -> None:
    await place.cluster.patch_namespace(await place.record(), add_finalizer=FINALIZER)
    await place.delete()
    held = await place.soon(lambda: _empty(place))
    proxy.faults.append(Fault("PATCH", place.name, lose=True))

    last = await faulty.patch_namespace(held, annotations={"bye": "1"}, remove_finalizer=FINALIZER)

    assert (last.uid, last.finalizers, last.annotations) == (held.uid, (), {"bye": "1"})
    await place.soon(place.is_gone)


async def test_the_echo_of_an_own_delete_is_known(place: Place, faulty: KubernetesCluster, proxy: FaultProxy) -> None:
    record = await place.record()
    proxy.faults.append(Fault("DELETE", place.name, lose=True))

    await faulty.delete_namespace(record, waiver(record.uid))

    await place.soon(place.is_gone)


async def test_a_lost_delete_of_an_old_version_is_refused(
    place: Place, faulty: KubernetesCluster, proxy: FaultProxy
) -> None:
    old = await place.record()
    await place.cluster.patch_namespace(old, annotations={"a": "1"})
    proxy.faults.append(Fault("DELETE", place.name, lose=True))

    with pytest.raises(PreconditionFailed):
        await faulty.delete_namespace(old, waiver(old.uid))
    assert not (await place.record()).terminating


async def test_a_namespace_whose_walls_cannot_be_built_is_taken_away_again(
    harness: KubernetesHarness, faulty: KubernetesCluster, proxy: FaultProxy
) -> None:
    name = new_name()
    proxy.faults.append(Fault("PATCH", "/networkpolicies/", status=503, times=MANY))

    with pytest.raises(Unavailable, match="network policy livecalc"):
        await faulty.create_namespace(name, labels={"app": "livecalc"}, annotations={})

    place = Place(harness, name)
    assert proxy.count("PATCH", "/serviceaccounts/") == 0
    await place.soon(place.is_gone)


async def test_a_job_whose_secret_cannot_be_made_is_taken_away_again(
    place: Place, faulty: KubernetesCluster, proxy: FaultProxy
) -> None:
    template = place.harness.shell("exit 0")
    secretive = type(template)(image=template.image, command=template.command, cpu=0.1, secret={"TOKEN": "x"})
    proxy.faults.append(Fault("PATCH", "/secrets/", status=503, times=MANY))

    with pytest.raises(Unavailable, match="secret job"):
        await faulty.create_job(place.name, JobSpec(name="job", partitions=1, template=secretive, deadline_seconds=60))
    assert await place.cluster.list_jobs(place.name) == []


async def test_what_is_deleted_and_asked_again_is_deleted(
    place: Place, faulty: KubernetesCluster, proxy: FaultProxy
) -> None:
    await place.run("exit 0")
    proxy.faults.append(Fault("DELETE", "/jobs/job", lose=True))

    await faulty.delete_job(place.name, "job")

    with pytest.raises(NotFound):
        await faulty.delete_job(place.name, "job")


async def _empty(place: Place) -> NamespaceRecord | None:
    record = await place.record()
    return record if record.content_gone else None
