"""Say that a namespace is in use: heartbeats, submits, and the stamp that starts an unknown timer again.

Each is a compare-and-swap: whoever changed the namespace meanwhile is read first, and nothing is retried blindly.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from livecalc.cluster.port import Cluster
from livecalc.domain.errors import Conflict, NotFound, PreconditionFailed, Reaping
from livecalc.domain.namespaces import LAST_ACTIVITY, LAST_JOB, LAST_SUBMIT, NamespaceRecord, Status, is_ours
from livecalc.domain.timestamps import format_timestamp
from livecalc.lifecycle.plan import CLOCK_TOLERANCE

HEARTBEAT_EVERY = timedelta(minutes=5)
_HEARTBEAT_TRIES = 20
_SUBMIT_TRIES = 400
_LONGEST_PAUSE = 0.05


async def update_namespace_activity(cluster: Cluster, name: str, now: datetime) -> bool:
    """Tell that a namespace is used at `now`; returns whether that had to be written.

    Written at most once in 5 minutes, whoever calls; never backwards, and not once the namespace is finalized or
    being reaped. Raises NotFound, PreconditionFailed (others change it all the time), Unavailable.
    """
    for attempt in range(_HEARTBEAT_TRIES):
        record = await _read_ours(cluster, name)
        last = record.last_activity
        if record.status is not Status.ACTIVE or record.terminating:
            return False
        if last is not None and now - last < HEARTBEAT_EVERY:
            return False
        try:
            await cluster.patch_namespace(record, annotations={LAST_ACTIVITY: format_timestamp(now)})
        except PreconditionFailed:
            await _pause(attempt, name)
            continue
        return True
    raise PreconditionFailed(f"namespace {name} changed {_HEARTBEAT_TRIES} times during a heartbeat; the next will do")


async def begin_submit(cluster: Cluster, name: str, uid: str, job_id: str, now: datetime) -> NamespaceRecord:
    """Mark a namespace as used by a new job, before that job is created.

    A reaper that has read the namespace before will fail its claim. After creating the job call `confirm_submit`.
    Raises Reaping (come back in a minute), Conflict (finalized), Unavailable.
    """

    def used(record: NamespaceRecord) -> dict[str, str]:
        last = record.last_activity
        ahead = last is not None and timedelta(0) < last - now <= CLOCK_TOLERANCE
        moment = last if ahead and last is not None else now
        return {LAST_ACTIVITY: format_timestamp(moment), LAST_SUBMIT: job_id}

    return await _patch_active(cluster, name, uid, job_id, used)


async def confirm_submit(cluster: Cluster, name: str, uid: str, job_id: str) -> None:
    """Note in a namespace that a job was created in it; only then is its submit a success.

    Whoever looked for jobs before it was there, to finalize or to reap, and has not acted yet, will fail and look
    again. Raises Reaping or Conflict when the namespace stopped taking work meanwhile, and Unavailable: the caller
    then deletes the job, as a reaper may have listed the pods before it was there.
    """
    await _patch_active(cluster, name, uid, job_id, lambda _: {LAST_JOB: job_id})


async def check_still_active(cluster: Cluster, name: str, uid: str) -> None:
    """Raise Reaping or Conflict when a namespace takes no work any more."""
    await _read_active(cluster, name, uid)


async def stamp(cluster: Cluster, record: NamespaceRecord, now: datetime) -> bool:
    """Start the timer of a namespace whose last activity is unknown; False when it changed since it was read."""
    try:
        await cluster.patch_namespace(record, annotations={LAST_ACTIVITY: format_timestamp(now)})
    except (PreconditionFailed, NotFound):
        return False
    return True


def refuse_inactive(record: NamespaceRecord) -> None:
    """Raise Reaping or Conflict, with the reason, when a namespace takes no work."""
    if record.status is Status.REAPING or record.terminating:
        raise Reaping(f"bucket {record.bucket_id} is being reaped: come back in a minute, its id is free again then")
    if record.status is Status.FINALIZED:
        raise Conflict(f"bucket {record.bucket_id} is finalized and takes no work: use another bucket id")
    if record.status is not Status.ACTIVE:
        raise Conflict(f"the status annotation of namespace {record.name} is unreadable: ask who runs the platform")


async def _patch_active(
    cluster: Cluster, name: str, uid: str, job_id: str, changes: Callable[[NamespaceRecord], dict[str, str]]
) -> NamespaceRecord:
    for attempt in range(_SUBMIT_TRIES):
        record = await _read_active(cluster, name, uid)
        try:
            return await cluster.patch_namespace(record, annotations=changes(record))
        except (PreconditionFailed, NotFound):
            await _pause(attempt, job_id)
    raise Conflict(f"namespace {name} is changed by too many others at once: submit again")


async def _read_active(cluster: Cluster, name: str, uid: str) -> NamespaceRecord:
    try:
        record = await _read_ours(cluster, name)
    except NotFound:
        record = None
    if record is None or record.uid != uid:
        raise Reaping(f"namespace {name} was reaped meanwhile: submit again")
    refuse_inactive(record)
    return record


async def _read_ours(cluster: Cluster, name: str) -> NamespaceRecord:
    record = await cluster.get_namespace(name)
    if not is_ours(record):
        raise NotFound(f"namespace {name} is not one of ours")
    return record


async def _pause(attempt: int, key: str) -> None:
    # Spread by the key, so that writers who met once do not meet again in step.
    spread = (sum(key.encode()) + 7 * attempt) % 10 / 10
    await asyncio.sleep(min(_LONGEST_PAUSE, 0.002 * attempt) * (0.5 + spread))
