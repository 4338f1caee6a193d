"""Pods that the cluster does not list, though events, the records of jobs or stored logs tell of them. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby

from msgspec.structs import replace

from livecalc.cluster.port import MAIN_CONTAINER, ContainerRecord, EventRecord, PodRecord
from livecalc.domain.jobs import JOB_LABEL
from livecalc.domain.tasks import read_statement
from livecalc.domain.timestamps import parse_timestamp
from livecalc.records.model import SubmittedRecord

ABSENT = "Absent"
"""The reason of such a pod. Its uid is none of a cluster's."""
_MISSING = "no pod of this partition is there, nor an event that tells of one: it was deleted before, or never made"
_TOLD = "it was deleted before the namespace was reaped; events tell that it was there"
_POD = "Pod/"
_MADE = re.compile(r"Created pod: ([a-z0-9][-a-z0-9.]*)", re.ASCII)
"""What Kubernetes' job controller says on the job, in its event SuccessfulCreate."""


def absent_pods(
    namespace: str, listed: Sequence[PodRecord], events: Sequence[EventRecord], jobs: Sequence[SubmittedRecord]
) -> list[PodRecord]:
    """Make a record of each pod that events name and the cluster does not list, and of each partition without a pod.

    In the order of their names. What is not known of them is left empty; the message says how they are known.
    """
    known = {job.job_id: job for job in jobs}
    names = {pod.name for pod in listed}
    told = [_told(namespace, name, at, known) for name, at in _named(events).items() if name not in names]
    present = {(pod.labels.get(JOB_LABEL), pod.index) for pod in (*listed, *told)}
    missing = [
        _missing(namespace, job, plan.index)
        for job in jobs
        for plan in job.partitions
        if (job.job_id, plan.index) not in present
    ]
    return sorted([*told, *missing], key=lambda pod: pod.name)


def unclaimed_copies(
    job: SubmittedRecord, stored: Collection[str], pods: Iterable[PodRecord]
) -> dict[int, dict[int, str]]:
    """Tell which logs of a job were `stored` by workers whose pods are not there to state it: by index and attempt."""
    claimed = {(pod.index, attempt) for pod in pods if (attempt := _stated_attempt(pod, job.job_id)) is not None}
    return {
        plan.index: {
            attempt: name
            for attempt, name in enumerate(plan.logs)
            if name in stored and (plan.index, attempt) not in claimed
        }
        for plan in job.partitions
    }


def silent_indexes(job: SubmittedRecord, pods: Iterable[PodRecord]) -> set[int]:
    """Tell of which partitions of a job there are pods that do not state which log they stored, if any."""
    own = [pod for pod in pods if pod.labels.get(JOB_LABEL) == job.job_id and pod.index is not None]
    return {_index(pod) for pod in own if _stated_attempt(pod, job.job_id) is None}


def with_copies(
    absent: Sequence[PodRecord], copies: Mapping[int, Mapping[int, str]], silent: Collection[int] = ()
) -> list[tuple[PodRecord, str]]:
    """Give the absent pods of a job the logs that their workers stored; an empty name for those without one.

    Where it cannot be told which pod stored a log, also because one that is listed is `silent`, the log gets a record
    of its own.
    """
    given: list[tuple[PodRecord, str]] = []
    for index, found in groupby(sorted(absent, key=_index), key=_index):
        pods, stored = list(found), copies.get(index, {})
        if len(pods) == len(stored) == 1 and index not in silent:
            given.append((pods[0], next(iter(stored.values()))))
            continue
        told = [pod for pod in pods if not stored or pod.message != _MISSING]
        given += [(pod, "") for pod in told]
        given += [(_of_attempt(pods[0], attempt), name) for attempt, name in stored.items()]
    return sorted(given, key=lambda each: each[0].name)


def is_absent(pod: PodRecord) -> bool:
    """Tell whether a record was made by `absent_pods`."""
    return pod.reason == ABSENT


def _named(events: Iterable[EventRecord]) -> dict[str, datetime]:
    """The pods that events tell of, and when first."""
    found: dict[str, datetime] = {}
    for event in events:
        made = _MADE.fullmatch(event.message)
        name = event.object.removeprefix(_POD) if event.object.startswith(_POD) else made[1] if made else ""
        if name:
            found.setdefault(name, event.time)
    return found


def _told(namespace: str, name: str, at: datetime, jobs: dict[str, SubmittedRecord]) -> PodRecord:
    job_id, _, rest = name.rpartition("-")[0].rpartition("-")
    job = jobs.get(job_id)
    index = int(rest) if rest.isascii() and rest.isdecimal() else None
    made = _record(namespace, name, job_id, index) if job and index is not None else _record(namespace, name)
    return replace(made, created_at=at, message=_TOLD)


def _missing(namespace: str, job: SubmittedRecord, index: int) -> PodRecord:
    made = _record(namespace, f"{job.job_id}-{index}", job.job_id, index)
    return replace(made, created_at=parse_timestamp(job.created_at) or made.created_at, message=_MISSING)


def _of_attempt(pod: PodRecord, attempt: int) -> PodRecord:
    name = f"{pod.job}-{pod.index}-attempt-{attempt}"
    message = "which of its partition's pods stored it is not known: none that is there says so"
    return replace(pod, name=name, uid=f"absent-{name}", message=message)


def _stated_attempt(pod: PodRecord, job_id: str) -> int | None:
    ends = [each.terminated for each in pod.containers if each.name == MAIN_CONTAINER and each.terminated is not None]
    if pod.labels.get(JOB_LABEL) != job_id or not ends:
        return None
    statement = read_statement(ends[0].message)
    return None if statement is None else statement.log_attempt


def _index(pod: PodRecord) -> int:
    return -1 if pod.index is None else pod.index


def _record(namespace: str, name: str, job_id: str = "", index: int | None = None) -> PodRecord:
    return PodRecord(
        name=name,
        uid=f"absent-{name}",
        namespace=namespace,
        phase="Unknown",
        labels={JOB_LABEL: job_id} if job_id else {},
        job=job_id,
        index=index,
        reason=ABSENT,
        created_at=datetime.fromtimestamp(0, UTC),
        containers=(ContainerRecord(name=MAIN_CONTAINER if job_id else "", state="waiting"),),
    )
