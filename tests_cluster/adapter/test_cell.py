"""What a bucket's namespace is on a real cluster: its walls, and that nothing runs before they stand."""

from typing import Any

import pytest
from contracts.cluster_harness import Place
from contracts.kubernetes_harness import IMAGE, PODS, KubernetesHarness
from msgspec import json

from livecalc.cluster.kubernetes.api import Call
from livecalc.cluster.kubernetes.manifests import Json, pod_spec
from livecalc.cluster.kubernetes.targets import Target, inside, pods
from livecalc.cluster.port import JobSpec
from livecalc.domain.errors import Conflict, NotFound

pytestmark = pytest.mark.anyio


async def read(harness: KubernetesHarness, target: Target) -> Any:
    return json.decode((await harness.api.send(Call(verb="get", target=target))).good())


async def make(harness: KubernetesHarness, target: Target, body: Json) -> int:
    return (await harness.api.send(Call(verb="create", target=target, body=body))).status


async def test_a_namespace_is_made_with_its_walls(place: Place, harness: KubernetesHarness) -> None:
    policy = await read(harness, inside(place.name, "networkpolicies", "networking.k8s.io").at("livecalc"))
    binding = await read(harness, inside(place.name, "rolebindings", "rbac.authorization.k8s.io").at("livecalc-worker"))
    account = await read(harness, inside(place.name, "serviceaccounts").at("livecalc-worker"))
    quota = await read(harness, inside(place.name, "resourcequotas").at("livecalc"))
    limits = await read(harness, inside(place.name, "limitranges").at("livecalc"))
    slice_ = await read(harness, inside("default", "endpointslices", "discovery.k8s.io").at("kubernetes"))

    assert (await place.record()).labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert policy["spec"]["podSelector"] == {}
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy["spec"]  # an empty list is not kept: nothing gets in
    dns, server, store = policy["spec"]["egress"]
    assert dns["to"][0]["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}
    assert server["to"] == [{"ipBlock": {"cidr": f"{slice_['endpoints'][0]['addresses'][0]}/32"}}]
    assert server["ports"] == [{"protocol": "TCP", "port": slice_["ports"][0]["port"]}]
    assert store["to"] == [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
    assert binding["roleRef"]["name"] == "livecalc-worker"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "livecalc-worker", "namespace": place.name}]
    assert account["automountServiceAccountToken"] is False
    assert quota["spec"]["hard"]["services"] == "0"
    assert limits["spec"]["limits"][0]["default"] == {"memory": "4Gi"}


async def test_a_pod_that_is_not_restricted_is_refused(place: Place, harness: KubernetesHarness) -> None:
    good: Any = pod_spec(harness.shell("exit 0"), PODS)

    for spec in (
        {"containers": [{"name": "main", "image": IMAGE}]},
        {**good, "hostNetwork": True},
        {**good, "volumes": [*good["volumes"], {"name": "host", "hostPath": {"path": "/"}}]},
    ):
        assert await make(harness, pods(place.name), {"metadata": {"name": "bad"}, "spec": spec}) == 403
    assert await make(harness, pods(place.name), {"metadata": {"name": "good"}, "spec": good}) == 201


async def test_what_the_quota_does_not_allow_is_a_conflict(place: Place, harness: KubernetesHarness) -> None:
    service: Json = {"metadata": {"name": "door"}, "spec": {"ports": [{"port": 80}]}}
    call = Call(verb="create", target=inside(place.name, "services"), body=service)

    with pytest.raises(Conflict, match="there is no room for services in namespace"):
        (await harness.api.send(call)).good()


async def test_walls_that_are_missing_are_built_before_a_job(place: Place, harness: KubernetesHarness) -> None:
    """As after a kill between the namespace and the rest of it."""
    for target in (
        inside(place.name, "networkpolicies", "networking.k8s.io").at("livecalc"),
        inside(place.name, "rolebindings", "rbac.authorization.k8s.io").at("livecalc-worker"),
        inside(place.name, "serviceaccounts").at("livecalc-worker"),
    ):
        (await harness.api.send(Call(verb="delete", target=target))).good()
        with pytest.raises(NotFound):
            await read(harness, target)

    await place.run("exit 0")

    await test_a_namespace_is_made_with_its_walls(place, harness)


async def test_without_its_account_no_pod_can_be_made(place: Place, harness: KubernetesHarness) -> None:
    account = inside(place.name, "serviceaccounts").at("livecalc-worker")
    (await harness.api.send(Call(verb="delete", target=account))).good()
    spec = pod_spec(harness.shell("exit 0"), PODS)

    assert await make(harness, pods(place.name), {"metadata": {"name": "early"}, "spec": spec}) == 403


async def test_a_jobs_secret_is_its_own(place: Place, harness: KubernetesHarness) -> None:
    template = harness.shell('test "$TOKEN" = hush')
    secretive = type(template)(image=template.image, command=template.command, cpu=0.1, secret={"TOKEN": "hush"})

    job = await place.cluster.create_job(
        place.name, JobSpec(name="job", partitions=1, template=secretive, deadline_seconds=60)
    )
    secret = await read(harness, inside(place.name, "secrets").at(job.name))

    (owner,) = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Job", job.uid)
    await place.cluster.delete_job(place.name, job.name)
    await place.soon(lambda: _is_gone(harness, inside(place.name, "secrets").at(job.name)))


async def _is_gone(harness: KubernetesHarness, target: Target) -> bool:
    return (await harness.api.send(Call(verb="get", target=target))).status == 404
