"""The logs that workers stored of their own, each by index and attempt, and whose they are. Pure.

A pod's own words tell it, and else what the archive has already: no stored log is left out, and none is there twice.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from livecalc.cluster.port import PodRecord
from livecalc.domain.jobs import JOB_LABEL
from livecalc.lifecycle.archive.absent import is_missing, pod_of_attempt
from livecalc.lifecycle.archive.manifest import ContainerLog
from livecalc.lifecycle.archive.runs import Run, statement_of
from livecalc.records.model import SubmittedRecord

Kept = tuple[Run, ContainerLog]
"""A run of a pod that is or was listed, and what the archive has of it."""
Copies = Mapping[int, Mapping[int, str]]
"""Names of stored logs, by index and attempt."""


def unclaimed_copies(job: SubmittedRecord, stored: Collection[str], kept: Iterable[Kept]) -> dict[int, dict[int, str]]:
    """Tell which `stored` logs of a job are none that a pod states; twins of others among them.

    A log that its pod states and that is not what it states is its own all the same, unless what the archive has
    instead is not whole.
    """
    claimed = {
        (run.pod.index, statement.log_attempt)
        for run, log in _of_job(job, kept)
        if (statement := statement_of(run)) is not None and (log.source == "worker" or log.state == "complete")
    }
    return {
        plan.index: {
            attempt: name
            for attempt, name in enumerate(plan.logs)
            if name in stored and (plan.index, attempt) not in claimed
        }
        for plan in job.partitions
    }


def silent_indexes(job: SubmittedRecord, kept: Iterable[Kept]) -> set[int]:
    """Tell of which partitions of a job there are pods that may have stored a log without stating it."""
    found = [run.pod.index for run, log in _of_job(job, kept) if log.source != "worker" and log.state != "complete"]
    return {index for index in found if index is not None}


def with_copies(
    job: SubmittedRecord, absent: Sequence[PodRecord], copies: Copies, silent: Collection[int] = ()
) -> list[tuple[PodRecord, str]]:
    """Give the absent pods of a job the logs that nobody states; an empty name for those without one.

    Where it cannot be told which pod stored a log, also because one that is listed is `silent`, the log gets a record
    of its own.
    """
    planned = {plan.index for plan in job.partitions}
    given = [(pod, "") for pod in absent if pod.index not in planned]
    for plan in job.partitions:
        pods, stored = [pod for pod in absent if pod.index == plan.index], copies.get(plan.index, {})
        if len(pods) == len(stored) == 1 and plan.index not in silent:
            given += [(pods[0], name) for name in stored.values()]
            continue
        given += [(pod, "") for pod in pods if not (stored and is_missing(pod))]
        given += [(pod_of_attempt(job, plan.index, attempt), name) for attempt, name in stored.items()]
    return sorted(given, key=lambda each: each[0].name)


def _of_job(job: SubmittedRecord, kept: Iterable[Kept]) -> list[Kept]:
    return [(run, log) for run, log in kept if run.of_worker and run.pod.labels.get(JOB_LABEL) == job.job_id]
