"""Pods that the cluster does not list, though events, the records of jobs or stored logs tell of them. Pure.

Whose log a stored one is, `copies` tells.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from livecalc.cluster.port import MAIN_CONTAINER, ContainerRecord, EventRecord, PodRecord
from livecalc.domain.jobs import JOB_LABEL
from livecalc.domain.timestamps import parse_timestamp
from livecalc.records.model import SubmittedRecord

ABSENT = "Absent"
"""The reason of such a pod. Its uid is none of a cluster's."""
_MISSING = "no pod of this partition is there, nor an event that tells of one: it was deleted before, or never made"
_TOLD = "it was deleted before the namespace was reaped; events tell that it was there"
_UID = "absent-"
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


def pod_of_attempt(job: SubmittedRecord, index: int, attempt: int) -> PodRecord:
    """Make a record of whoever stored the log of an attempt, when no pod is known to have done so."""
    made = _record(job.namespace, f"{job.job_id}-{index}-attempt-{attempt}", job.job_id, index)
    return replace(made, message="which of its partition's pods stored it is not known: none that is there says so")


def is_absent(pod: PodRecord) -> bool:
    """Tell whether a record was made here."""
    return pod.reason == ABSENT


def is_missing(pod: PodRecord) -> bool:
    """Tell whether a record stands for a partition of which no pod is known."""
    return pod.message == _MISSING


def is_absent_uid(uid: str) -> bool:
    """Tell whether a uid is that of a record made here."""
    return uid.startswith(_UID)


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


def _record(namespace: str, name: str, job_id: str = "", index: int | None = None) -> PodRecord:
    return PodRecord(
        name=name,
        uid=f"{_UID}{name}",
        namespace=namespace,
        phase="Unknown",
        labels={JOB_LABEL: job_id} if job_id else {},
        job=job_id,
        index=index,
        reason=ABSENT,
        created_at=datetime.fromtimestamp(0, UTC),
        containers=(ContainerRecord(name=MAIN_CONTAINER if job_id else "", state="waiting"),),
    )
