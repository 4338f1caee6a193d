"""Lists in pages: a token that ended begins again once, and what could not be read is never passed off as the whole."""

from collections.abc import AsyncIterator

import pytest
from adapter.fault_proxy import Fault, FaultProxy
from contracts.cluster_harness import Place, new_name
from contracts.kubernetes_harness import KubernetesHarness

from livecalc.cluster.kubernetes import KubernetesCluster
from livecalc.domain.errors import Unavailable
from livecalc.domain.receipts import ArchiveWaiver

pytestmark = pytest.mark.anyio

PAGE = 2


@pytest.fixture
async def mark(harness: KubernetesHarness) -> AsyncIterator[str]:
    """The label value of five namespaces."""
    mark = new_name()
    made = [await harness.cluster.create_namespace(new_name(), labels={"mark": mark}, annotations={}) for _ in range(5)]
    yield mark
    for record in made:
        await harness.cluster.delete_namespace(record, ArchiveWaiver(namespace_uid=record.uid, reason="test"))


@pytest.mark.parametrize("restarts", [0, 1])
async def test_an_expired_token_begins_the_list_again(
    faulty: KubernetesCluster, proxy: FaultProxy, mark: str, restarts: int
) -> None:
    proxy.faults.append(Fault("GET", "continue=", status=410, reason="Expired", times=restarts))

    listed = await faulty.list_namespaces({"mark": mark})

    assert listed.complete
    assert len(listed.items) == 5
    assert proxy.count("GET", "labelSelector=mark") == 3 + 2 * restarts


async def test_a_token_that_expires_again_leaves_the_list_incomplete(
    faulty: KubernetesCluster, proxy: FaultProxy, mark: str
) -> None:
    proxy.faults.append(Fault("GET", "continue=", status=410, reason="Expired", times=2))

    listed = await faulty.list_namespaces({"mark": mark})

    assert not listed.complete
    assert len(listed.items) == PAGE


@pytest.mark.parametrize(
    "fault", [Fault("GET", "continue=", status=500, times=9), Fault("GET", "continue=", status=403)]
)
async def test_a_page_that_cannot_be_read_leaves_the_list_incomplete(
    faulty: KubernetesCluster, proxy: FaultProxy, mark: str, fault: Fault
) -> None:
    proxy.faults.append(fault)

    listed = await faulty.list_namespaces({"mark": mark})

    assert not listed.complete
    assert len(listed.items) == PAGE


async def test_without_a_first_page_there_is_no_list(faulty: KubernetesCluster, proxy: FaultProxy, mark: str) -> None:
    proxy.faults.append(Fault("GET", "labelSelector", status=500, times=9))

    with pytest.raises(Unavailable, match="cannot list namespaces: it answered 500"):
        await faulty.list_namespaces({"mark": mark})


async def test_claims_are_all_or_none(place: Place, faulty: KubernetesCluster, proxy: FaultProxy) -> None:
    for name in ("a", "b", "c"):
        await place.harness.create_claim(place.name, name)
    proxy.faults.append(Fault("GET", "continue=", status=500, times=9))

    with pytest.raises(Unavailable, match="cannot list persistentvolumeclaims in namespace"):
        await faulty.list_volume_claims(place.name)
    proxy.faults.clear()
    assert [claim.name for claim in await faulty.list_volume_claims(place.name)] == ["a", "b", "c"]
