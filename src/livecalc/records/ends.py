"""What a job's end looks like in its record, from what its workers stored and what the cluster says. Pure."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from livecalc.cluster.port import ClusterJob, PodRecord, Termination
from livecalc.domain.errors import Damaged
from livecalc.domain.jobs import PROGRESS, PROGRESS_PATTERN, JobState
from livecalc.domain.partitions import PartitionRecord, join_outputs
from livecalc.domain.resulthash import combine, output_digest
from livecalc.domain.tasks import read_statement
from livecalc.domain.timestamps import format_timestamp, parse_timestamp
from livecalc.domain.violations import parse_violations
from livecalc.records.model import FinishedRecord, SubmittedRecord

_STOPPED = 143
"""The exit code of a worker that ended on SIGTERM."""


class ClusterView(Struct, frozen=True, kw_only=True):
    """What the cluster says of one job; without a job when it knows none, or was not asked."""

    job: ClusterJob | None = None
    pods: tuple[PodRecord, ...] = ()
    namespace_lives: bool = False
    now: datetime

    @property
    def runs(self) -> bool:
        """Whether workers are still at it; with all results stored, they may be about to store their logs."""
        return self.namespace_lives and self.job is not None and self.job.state in {"pending", "running"}


class StoredPart(Struct, frozen=True, kw_only=True):
    """What a worker stored for one partition."""

    record: PartitionRecord
    sha256: str
    """Of the whole blob."""


Stored = dict[int, StoredPart]
"""By index."""


def scenarios_done(submitted: SubmittedRecord, stored: Collection[int], pods: Collection[PodRecord]) -> int:
    """Count the scenarios of stored partitions, and what the newest pods of the others say that they did."""
    done = sum(plan.stop - plan.first for plan in submitted.partitions if plan.index in stored)
    newest = {pod.index: pod for pod in pods if pod.index not in stored}
    return done + sum(_progress(pod) for pod in newest.values())


def _progress(pod: PodRecord) -> int:
    text = pod.annotations.get(PROGRESS, "")
    return int(text.partition("/")[0]) if PROGRESS_PATTERN.fullmatch(text) else 0


def succeeded(submitted: SubmittedRecord, stored: Stored, view: ClusterView) -> FinishedRecord:
    """The end of a job all of whose partitions are stored; a failure when they do not fit together."""
    parts = [stored[plan.index] for plan in submitted.partitions]
    records = [part.record for part in parts]
    try:
        outputs = join_outputs(records, submitted.scenarios)
    except Damaged as error:
        return failed(submitted, f"its results do not fit together: {error.detail}", view, stored)
    missing = [name for name in submitted.results if name not in outputs]
    if missing:
        return failed(submitted, f"its results lack {', '.join(missing)}", view, stored)
    digests = {name: output_digest(name, outputs[name]) for name in sorted(submitted.results, key=str.encode)}
    return FinishedRecord(
        job_id=submitted.job_id,
        state=JobState.SUCCEEDED,
        result_hash=combine(digests.values()),
        outputs={name: digest.hex() for name, digest in digests.items()},
        partitions=[plan.blob for plan in submitted.partitions],
        partition_digests=[part.sha256 for part in parts],
        scenarios_done=submitted.scenarios,
        retries=_retries(view),
        environment=_environment(records),
        started_at=min(record.started_at for record in records),
        finished_at=max(record.finished_at for record in records),
    )


def _environment(records: list[PartitionRecord]) -> dict[str, Any]:
    first = records[0].environment
    if any(record.environment != first for record in records):
        return {**first, "mixed": [record.environment for record in records if record.environment != first]}
    return first


def failed(submitted: SubmittedRecord, reason: str, view: ClusterView, stored: Stored) -> FinishedRecord:
    """The end of a job that failed, with its reason as one sentence's part."""
    records = [part.record for part in stored.values()]
    environments = [record.environment for record in records if record.environment]
    whole = {index for index, part in stored.items() if part.record.state is JobState.SUCCEEDED}
    return FinishedRecord(
        job_id=submitted.job_id,
        state=JobState.FAILED,
        error=reason,
        retries=_retries(view),
        violations=sum(len(parse_violations(record.violations)[0]) for record in records),
        scenarios_done=scenarios_done(submitted, whole, view.pods),
        environment=environments[0] if environments else {},
        started_at=_moment(view.job.started_at if view.job else None),
        finished_at=format_timestamp(view.now),
    )


def cancelled(submitted: SubmittedRecord, view: ClusterView) -> FinishedRecord:
    """The end of a job that was cancelled."""
    return FinishedRecord(
        job_id=submitted.job_id,
        state=JobState.CANCELLED,
        error="cancelled",
        retries=_retries(view),
        scenarios_done=scenarios_done(submitted, (), view.pods),
        started_at=_moment(view.job.started_at if view.job else None),
        finished_at=format_timestamp(view.now),
    )


def why_it_ended(submitted: SubmittedRecord, view: ClusterView, grace: timedelta) -> str | None:
    """Say why a job without all results has ended; None while its submit may still be under way, for `grace`."""
    if view.job is not None:
        if view.job.state == "failed":
            return _job_failure(submitted, view.job, view.pods)
        if view.job.state == "succeeded":
            return "its workers succeeded, but a result is missing from the store"
        return f"namespace {submitted.namespace} was deleted while it ran"
    if not view.namespace_lives:
        return _pod_failure(view.pods) or f"namespace {submitted.namespace} went before it had ended"
    created = parse_timestamp(submitted.created_at)
    if created is not None and view.now - created > grace:
        return "its submit was interrupted before the cluster had it: submit again"
    return None


def _job_failure(submitted: SubmittedRecord, job: ClusterJob, pods: tuple[PodRecord, ...]) -> str:
    if job.reason == "DeadlineExceeded":
        return f"deadline of {submitted.deadline_seconds:g} s exceeded"
    return _pod_failure(pods) or job.message or job.reason or "the cluster says it failed, and no more"


def _pod_failure(pods: tuple[PodRecord, ...]) -> str | None:
    ends = [
        (pod, container.terminated)
        for pod in pods
        for container in pod.containers
        if container.terminated is not None and container.terminated.exit_code != 0
    ]
    if not ends:
        return None
    # A job that fails stops its other pods: theirs is not the reason.
    ends = [each for each in ends if each[1].exit_code != _STOPPED] or ends
    pod, end = ends[-1]
    if end.reason == "OOMKilled":
        return f"pod {pod.name} needed more memory than its limit and was killed (exit 137)"
    why = _stated(end) or (end.reason if end.reason not in {"", "Error"} else "")
    times = f" {len(ends)} times, the last" if len(ends) > 1 else ""
    return f"pod {pod.name} ended{times} with exit {end.exit_code}" + (f": {why}" if why else "")


def _stated(end: Termination) -> str | None:
    statement = read_statement(end.message)
    return None if statement is None else statement.error


def _retries(view: ClusterView) -> int:
    return max(0, len(view.pods) - len({pod.index for pod in view.pods}))


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else format_timestamp(moment)
