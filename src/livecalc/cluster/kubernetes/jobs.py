"""Jobs: made with their secret, read with their pods where these tell more, cancelled, deleted.

Cancelling is a deadline of no seconds and an annotation that says whose doing it was.
"""

import asyncio
import os
from contextlib import suppress

from livecalc.cluster.kubernetes import failures
from livecalc.cluster.kubernetes.api import OWNED, Answer, Api, Call
from livecalc.cluster.kubernetes.manifests import job_manifest, secret_manifest
from livecalc.cluster.kubernetes.objects import Condition, Job, Managed, Pod
from livecalc.cluster.kubernetes.pages import read_list
from livecalc.cluster.kubernetes.pods import job_of
from livecalc.cluster.kubernetes.settings import PodSettings
from livecalc.cluster.kubernetes.targets import inside, jobs, pods
from livecalc.cluster.port import ClusterJob, JobSpec
from livecalc.domain.errors import LivecalcError, PreconditionFailed, Unavailable

CANCELLED = "livecalc.io/cancelled"
"""An annotation of a job that somebody cancelled before it was over."""

_CANCELLED = "Cancelled"
_DEADLINE = "DeadlineExceeded"
_REASONS = {"MaxFailedIndexesExceeded": "BackoffLimitExceeded", "FailedIndexes": "BackoffLimitExceeded"}
"""Kubernetes' words for one index that failed more often than it may, and the port's."""
_CANCEL_TRIES = 5


def port_reason(reason: str) -> str:
    """The port's word for the reason of a job's end."""
    return _REASONS.get(reason, reason)


async def create_job(api: Api, namespace: str, spec: JobSpec, settings: PodSettings) -> ClusterJob:
    """Make a job, and its secret after: where that fails, the job is taken away again. Raises as the port says.

    A pod that comes before its secret waits for it.
    """
    made = await _make(api, namespace, spec, settings)
    if spec.template.secret:
        body = secret_manifest(spec, made.metadata.uid)
        secret = Call(verb="apply", target=inside(namespace, "secrets").at(spec.name), query=OWNED, body=body)
        try:
            (await api.send(secret)).good()
        except (LivecalcError, asyncio.CancelledError):
            with suppress(Unavailable):  # then its pods wait for the secret until its deadline
                await asyncio.shield(_delete(api, namespace, spec.name, {"uid": made.metadata.uid}))
            raise
    return _record(made, running=False)


async def list_jobs(api: Api, namespace: str) -> list[ClusterJob]:
    """The jobs of a namespace, by name.

    Of jobs that go on, the pods are read too: the job controller says only after a second or so that a pod runs.
    """
    listing = await read_list(api, jobs(namespace), Job)
    present = [job for job in listing.whole() if job.metadata.deletion_timestamp is None]
    started: set[str] = set()
    if not all(_end(job) for job in present):
        started = {
            job_of(pod.metadata) for pod in (await read_list(api, pods(namespace), Pod)).whole() if _has_run(pod)
        }
    records = [_record(job, running=job.metadata.name in started) for job in present]
    return sorted(records, key=lambda job: job.name)


async def cancel_job(api: Api, namespace: str, name: str) -> None:
    """End a job that is not over. Raises NotFound."""
    target = jobs(namespace).at(name)
    for _ in range(_CANCEL_TRIES):
        job = (await api.send(Call(verb="get", target=target))).read(Job)
        if _end(job) or CANCELLED in job.metadata.annotations:
            return
        meta = {"uid": job.metadata.uid, "resourceVersion": job.metadata.resource_version}
        annotated = meta | {"annotations": {CANCELLED: "true"}}
        body = {"metadata": annotated, "spec": {"activeDeadlineSeconds": 0}}
        answer = await api.send(Call(verb="patch", target=target, body=body))
        if answer.status != failures.CONFLICT:
            answer.good()
            return
    raise PreconditionFailed(f"{target} changes too often to be cancelled; try again")


async def delete_job(api: Api, namespace: str, name: str) -> None:
    """Delete a job; its pods and its secret follow. Raises NotFound."""
    answer = await _delete(api, namespace, name, {})
    if not (answer.status == failures.NOT_FOUND and answer.doubtful):
        answer.good()


async def _delete(api: Api, namespace: str, name: str, preconditions: dict[str, str]) -> Answer:
    body = {"propagationPolicy": "Background", "preconditions": preconditions}
    return await api.send(Call(verb="delete", target=jobs(namespace).at(name), body=body))


async def _make(api: Api, namespace: str, spec: JobSpec, settings: PodSettings) -> Job:
    """Create the Job under a manager's name of its own, so that it is known again when the answer was lost."""
    manager = f"livecalc-{os.urandom(6).hex()}"
    call = Call(
        verb="create",
        target=jobs(namespace),
        query={"fieldManager": manager},
        body=job_manifest(spec, settings),
        about=jobs(namespace).at(spec.name),
    )
    answer = await api.send(call)
    if answer.status == failures.CONFLICT and answer.doubtful:
        there = await api.send(Call(verb="get", target=jobs(namespace).at(spec.name)))
        if manager in there.read(Managed).managers:
            return there.read(Job)
    return answer.read(Job)


def _record(job: Job, *, running: bool) -> ClusterJob:
    meta, status, end = job.metadata, job.status, _end(job)
    begun = running or end is not None or bool(status.completed_indexes)
    succeeded = end is not None and end.type == "Complete"
    failed = end is not None and not succeeded
    reason = _reason(job, end) if end and failed else ""
    return ClusterJob(
        name=meta.name,
        uid=meta.uid,
        namespace=meta.namespace,
        labels=meta.labels,
        partitions=job.spec.completions,
        state="succeeded" if succeeded else "failed" if failed else "running" if begun else "pending",
        reason=reason,
        message="it was cancelled" if reason == _CANCELLED else end.message if end and failed else "",
        succeeded=frozenset(_indexes(status.completed_indexes)),
        created_at=meta.creation_timestamp,
        started_at=status.start_time if begun else None,
        finished_at=end and (status.completion_time or end.last_transition_time),
    )


def _end(job: Job) -> Condition | None:
    """The condition that says how a job ended; it comes when its last pod has."""
    return next((each for each in job.status.conditions if each.holds and each.type in {"Complete", "Failed"}), None)


def _reason(job: Job, end: Condition) -> str:
    cancelled = end.reason == _DEADLINE and CANCELLED in job.metadata.annotations
    return _CANCELLED if cancelled else port_reason(end.reason)


def _has_run(pod: Pod) -> bool:
    """Tell whether a container has started; the phase says so later."""
    states = [each.state for each in pod.status.container_statuses]
    return pod.status.phase != "Pending" or any(state.running or state.terminated for state in states)


def _indexes(text: str) -> list[int]:
    """Read `0,2-4`."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
