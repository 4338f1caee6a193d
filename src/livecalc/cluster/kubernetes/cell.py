"""The cell that a bucket's namespace is: what is in it before any pod, and in which order it comes to be.

The service account comes last: without it no pod of ours can be made, so none runs before the walls stand.
"""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address

from livecalc.cluster.kubernetes import failures
from livecalc.cluster.kubernetes.api import OWNED, Api, Call
from livecalc.cluster.kubernetes.manifests import ACCOUNT, Json
from livecalc.cluster.kubernetes.namespaces import namespace_record
from livecalc.cluster.kubernetes.objects import EndpointSlice, Managed, Namespace
from livecalc.cluster.kubernetes.settings import CellSettings
from livecalc.cluster.kubernetes.targets import NAMESPACES, Target, inside
from livecalc.domain.errors import LivecalcError, Unavailable
from livecalc.domain.namespaces import NamespaceRecord

POD_SECURITY = {"pod-security.kubernetes.io/enforce": "restricted"}

_API_SERVER = inside("default", "endpointslices", "discovery.k8s.io").at("kubernetes")
_RBAC = "rbac.authorization.k8s.io"
_NETWORKING = "networking.k8s.io"
_DNS = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}


async def create_cell(
    api: Api, name: str, labels: Mapping[str, str], annotations: Mapping[str, str], settings: CellSettings
) -> NamespaceRecord:
    """Make a namespace with all that a bucket needs; where a step fails, it is deleted again.

    Raises AlreadyExists, InvalidInput, and what a failed step means.
    """
    made = await _make(api, name, {**labels, **POD_SECURITY}, annotations)
    try:
        await furnish_cell(api, name, settings)
    except (LivecalcError, asyncio.CancelledError):
        with suppress(Unavailable):  # then it stays, and nothing can run in it
            body = {"preconditions": {"uid": made.metadata.uid}}
            await asyncio.shield(api.send(Call(verb="delete", target=NAMESPACES.at(name), body=body)))
        raise
    return namespace_record(made)


async def furnish_cell(api: Api, namespace: str, settings: CellSettings) -> None:
    """Put what is missing or different into a namespace; what is right is left as it is.

    Raises NotFound, Conflict (the namespace is terminating).
    """
    server = (await api.send(Call(verb="get", target=_API_SERVER))).read(EndpointSlice)
    objects = cell_objects(namespace, settings, server)
    try:
        async with asyncio.TaskGroup() as group:
            for target, body in objects[:-1]:
                group.create_task(_apply(api, target, body))
    except* LivecalcError as failed:
        raise failed.exceptions[0] from None
    await _apply(api, *objects[-1])


def cell_objects(namespace: str, settings: CellSettings, server: EndpointSlice) -> list[tuple[Target, Json]]:
    """What is in a cell, the service account last."""
    account = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}
    role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": ACCOUNT}
    limits = {
        "type": "Container",
        "default": {"memory": settings.container_memory},
        "defaultRequest": settings.container_request,
    }
    return [
        _object(namespace, "ResourceQuota", "livecalc", spec={"hard": settings.quota}),
        _object(namespace, "LimitRange", "livecalc", spec={"limits": [limits]}),
        _object(namespace, "NetworkPolicy", "livecalc", _NETWORKING, spec=network_policy(settings, server)),
        _object(namespace, "RoleBinding", ACCOUNT, _RBAC, subjects=[account], roleRef=role),
        _object(namespace, "ServiceAccount", ACCOUNT, automountServiceAccountToken=False),
    ]


def network_policy(settings: CellSettings, server: EndpointSlice) -> Json:
    """The specification of a NetworkPolicy: nothing in; out to DNS, the API server and the networks of the settings."""
    addresses = [address for endpoint in server.endpoints for address in endpoint.addresses]
    ports = [{"protocol": port.protocol, "port": port.port} for port in server.ports if port.port]
    out: list[Json] = [dict(_DNS)]
    if addresses:
        out.append({"to": [{"ipBlock": {"cidr": _only(address)}} for address in addresses], "ports": ports})
    if settings.egress:
        out.append({"to": [{"ipBlock": {"cidr": str(network)}} for network in settings.egress]})
    return {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": out}


async def _make(api: Api, name: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Namespace:
    """Create the Namespace under a manager's name of its own, so that it is known again when the answer was lost."""
    manager = f"livecalc-{os.urandom(6).hex()}"
    call = Call(
        verb="create",
        target=NAMESPACES,
        query={"fieldManager": manager},
        body={"metadata": {"name": name, "labels": labels, "annotations": annotations}},
        about=NAMESPACES.at(name) if name else None,
    )
    answer = await api.send(call)
    if answer.status == failures.CONFLICT and answer.doubtful:
        there = await api.send(Call(verb="get", target=NAMESPACES.at(name)))
        if manager in there.read(Managed).managers:
            return there.read(Namespace)
    return answer.read(Namespace)


async def _apply(api: Api, target: Target, body: Json) -> None:
    (await api.send(Call(verb="apply", target=target, query=OWNED, body=body))).good()


def _object(namespace: str, kind: str, name: str, group: str = "", **content: object) -> tuple[Target, Json]:
    resource = f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s"
    header = {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": {"name": name}}
    return inside(namespace, resource, group).at(name), header | content


def _only(address: str) -> str:
    return f"{address}/{ip_address(address).max_prefixlen}"
