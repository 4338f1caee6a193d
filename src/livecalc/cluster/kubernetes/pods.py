"""Pods as the port's records: each container's present run and the one before, and why a pod is not well."""

from collections.abc import Mapping
from typing import Literal, cast

from livecalc.cluster.kubernetes.api import Api, Call
from livecalc.cluster.kubernetes.objects import Container, ContainerStatus, Ended, Meta, Pod
from livecalc.cluster.kubernetes.pages import read_list
from livecalc.cluster.kubernetes.targets import pods
from livecalc.cluster.port import ContainerRecord, PodRecord, Termination

INDEX = "batch.kubernetes.io/job-completion-index"

_MESSAGE_BYTES = 4096
_PHASES = frozenset({"Pending", "Running", "Succeeded", "Failed"})
_NOT_SCHEDULED = "Pending"
"""Why a container waits whose pod has no node yet, and of which the scheduler has not said anything."""

_Kind = Literal["main", "init", "sidecar", "ephemeral"]
_Phase = Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"]


async def list_pods(api: Api, namespace: str) -> list[PodRecord]:
    """The pods of a namespace, by name."""
    listing = await read_list(api, pods(namespace), Pod)
    return sorted(map(pod_record, listing.whole()), key=lambda pod: pod.name)


async def annotate_pod(api: Api, namespace: str, pod: str, annotations: Mapping[str, str]) -> None:
    """Set annotations. Raises NotFound, InvalidInput."""
    body = {"metadata": {"annotations": annotations}}
    (await api.send(Call(verb="patch", target=pods(namespace).at(pod), body=body))).good()


def pod_record(pod: Pod) -> PodRecord:
    """The port's record of a Pod."""
    meta, status = pod.metadata, pod.status
    reason, message = _trouble(pod)
    index = meta.annotations.get(INDEX, "")
    job = job_of(meta)
    return PodRecord(
        name=meta.name,
        uid=meta.uid,
        namespace=meta.namespace,
        phase=cast("_Phase", status.phase if status.phase in _PHASES else "Unknown"),
        labels=meta.labels,
        annotations=meta.annotations,
        job=job,
        index=int(index) if job and index.isascii() and index.isdecimal() else None,
        node=pod.spec.node_name,
        reason=reason,
        message=message,
        created_at=meta.creation_timestamp,
        deletion_timestamp=meta.deletion_timestamp,
        containers=_containers(pod),
    )


def job_of(meta: Meta) -> str:
    """The job that a pod belongs to, which its owner says, not its labels: anybody may write those."""
    return next((owner.name for owner in meta.owner_references if owner.kind == "Job" and owner.controller), "")


def _trouble(pod: Pod) -> tuple[str, str]:
    """Why a pod is not well, in a word and a sentence; empty when it is."""
    status = pod.status
    if status.reason:
        return status.reason, status.message
    for condition in status.conditions:
        disrupted = condition.type == "DisruptionTarget" and condition.holds
        unplaced = condition.type == "PodScheduled" and condition.status == "False"
        if disrupted or unplaced:
            return condition.reason, condition.message
    return "", status.message


def _containers(pod: Pod) -> tuple[ContainerRecord, ...]:
    spec, status = pod.spec, pod.status
    groups = (
        (spec.init_containers, status.init_container_statuses, "init"),
        (spec.containers, status.container_statuses, "main"),
        (spec.ephemeral_containers, status.ephemeral_container_statuses, "ephemeral"),
    )
    return tuple(
        _container(pod, each, {known.name: known for known in statuses}.get(each.name), _kind(each, kind))
        for declared, statuses, kind in groups
        for each in declared
    )


def _kind(container: Container, kind: str) -> _Kind:
    return "sidecar" if kind == "init" and container.restart_policy == "Always" else cast("_Kind", kind)


def _container(pod: Pod, container: Container, status: ContainerStatus | None, kind: _Kind) -> ContainerRecord:
    if status is None:
        why = "" if pod.spec.node_name else _trouble(pod)[0] or _NOT_SCHEDULED
        return ContainerRecord(name=container.name, kind=kind, state="waiting", reason=why)
    state, before = status.state, status.last_state.terminated
    previous = _termination(before) if before else None
    if state.terminated is not None:
        end = _termination(state.terminated)
        return ContainerRecord(
            name=container.name,
            kind=kind,
            state="terminated",
            started_at=end.started_at,
            terminated=end,
            previous=previous,
            restarts=status.restart_count,
        )
    running, waiting = state.running, state.waiting
    return ContainerRecord(
        name=container.name,
        kind=kind,
        state="running" if running else "waiting",
        reason=waiting.reason if waiting else "",
        message=waiting.message if waiting else "",
        started_at=running.started_at if running else None,
        previous=previous,
        restarts=status.restart_count,
    )


def _termination(ended: Ended) -> Termination:
    return Termination(
        exit_code=ended.exit_code,
        reason=ended.reason,
        # Bytes that are no text come as three each.
        message=ended.message.encode()[-_MESSAGE_BYTES:].decode(errors="ignore"),
        started_at=ended.started_at,
        finished_at=ended.finished_at,
    )
