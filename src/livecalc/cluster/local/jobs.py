"""The job controller: which pods a job has, when an index is tried again, when the job is over. Rows only."""

import json
import os
import uuid
from typing import NamedTuple

from livecalc.cluster.local.events import Event, record, warn
from livecalc.cluster.local.store import Connection, Row, Store

NODE_LOST = "NodeLost"
_NODE_LOSSES = 20
"""How often an index is tried again because its node died; such ends do not count as its own failures."""
_LONGEST_BACKOFF = 5.0
_GOING_ON = "finished IS NULL AND reason = '' AND deleted IS NULL"
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


class Attempt(NamedTuple):
    """One try of one index."""

    position: int
    number: int = 0
    not_before: float = 0.0


def add_pods(db: Connection, job: Row, positions: range, now: float) -> None:
    """Make the first pod of each index."""
    for position in positions:
        _add_pod(db, job, Attempt(position), now)


def pod_ended(db: Connection, pod: Row, now: float, backoff: float) -> None:
    """Decide what the end of one of a job's pods means; `pod` is its row after the end."""
    job = db.execute("SELECT * FROM jobs WHERE uid = ?", (pod["job"],)).fetchone()
    if job is None or job["finished"] is not None:
        return
    if not job["reason"] and job["deleted"] is None and pod["phase"] == "Failed":
        _retry_or_fail(db, job, pod, now, backoff)
    settle(db, job["uid"], now)


def stop_job(db: Connection, job: Row, reason: str, message: str, now: float) -> None:
    """Begin to fail a job: pods that wait will not start, the others are stopped; it has failed when they ended."""
    db.execute("UPDATE jobs SET reason = ?, message = ? WHERE uid = ?", (reason, message, job["uid"]))
    warn(db, _about(job, reason, message), now)
    db.execute(
        "UPDATE pods SET phase = 'Failed', reason = ?, message = 'it had not started', finished = ?"
        " WHERE job = ? AND phase = 'Pending'",
        (reason, now, job["uid"]),
    )
    db.execute(
        "UPDATE pods SET stop = ? WHERE job = ? AND phase = 'Running' AND stop = ''",
        (reason, job["uid"]),
    )
    settle(db, job["uid"], now)


def settle(db: Connection, uid: str, now: float) -> None:
    """Finish a job that has no pod left to wait for."""
    if db.execute(
        "SELECT 1 FROM pods WHERE job = ? AND phase IN ('Pending', 'Running') LIMIT 1",
        (uid,),
    ).fetchone():
        return
    job = db.execute("SELECT * FROM jobs WHERE uid = ? AND finished IS NULL", (uid,)).fetchone()
    if job is None:
        return
    state = "failed" if job["reason"] else "succeeded"
    db.execute("UPDATE jobs SET state = ?, finished = ? WHERE uid = ?", (state, now, uid))
    if state == "succeeded":
        record(db, _about(job, "Completed", f"{job['partitions']} partitions succeeded"), now)


def enforce_deadlines(store: Store, now: float) -> None:
    """Fail the jobs whose time is up."""
    late = f"SELECT * FROM jobs WHERE {_GOING_ON} AND deadline <= ?"  # noqa: S608  (a constant)
    with store.read() as db:
        if not db.execute(late, (now,)).fetchone():
            return
    with store.write() as db:
        for job in db.execute(late, (now,)).fetchall():
            seconds = job["deadline"] - job["created"]
            stop_job(db, job, "DeadlineExceeded", f"it did not end within {seconds:g} s of its creation", now)


def next_times(db: Connection, now: float) -> list[float]:
    """When the first deadline is, and when the first pod may start that waits for its next attempt."""
    deadline = db.execute(f"SELECT min(deadline) FROM jobs WHERE {_GOING_ON}").fetchone()[0]  # noqa: S608  (a constant)
    retry = db.execute("SELECT min(not_before) FROM pods WHERE phase = 'Pending' AND not_before > ?", (now,))
    return [time for time in (deadline, retry.fetchone()[0]) if time is not None]


def _retry_or_fail(db: Connection, job: Row, pod: Row, now: float, backoff: float) -> None:
    how = f"exit code {pod['exit_code']}, {pod['exit_reason'] or pod['reason']}"
    position = pod["position"]
    lost, failed = _earlier_ends(db, job["uid"], position)
    if pod["reason"] != NODE_LOST and pod["exit_code"] in json.loads(job["final_exits"]):
        stop_job(db, job, "PodFailurePolicy", f"pod {pod['name']} of index {position} ended for good ({how})", now)
    elif failed > job["retries"] or lost > _NODE_LOSSES:
        text = f"index {position} failed {failed + lost} times, the last with {how}"
        stop_job(db, job, "BackoffLimitExceeded", text, now)
    else:
        wait = 0.0 if pod["reason"] == NODE_LOST else min(backoff * 2 ** (failed - 1), _LONGEST_BACKOFF)
        name = _add_pod(db, job, Attempt(position, pod["attempt"] + 1, now + wait), now)
        text = f"index {position} is tried again as {name} after {pod['name']} ended ({how})"
        record(db, _about(job, "Retrying", text), now)


def _earlier_ends(db: Connection, uid: str, position: int) -> tuple[int, int]:
    """How often an index ended with its node, and how often by itself."""
    lost, failed = db.execute(
        "SELECT coalesce(sum(reason = ?), 0), coalesce(sum(reason <> ?), 0) FROM pods"
        " WHERE job = ? AND position = ? AND phase = 'Failed'",
        (NODE_LOST, NODE_LOST, uid, position),
    ).fetchone()
    return lost, failed


def _add_pod(db: Connection, job: Row, attempt: Attempt, now: float) -> str:
    name = f"{job['name']}-{attempt.position}-{_random_suffix()}"
    db.execute(
        "INSERT INTO pods (uid, namespace, name, job, job_name, labels, created, position, attempt, not_before)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (str(uuid.uuid4()), job["namespace"], name, job["uid"], job["name"], job["labels"], now, *attempt),
    )
    text = f"by job {job['name']}, index {attempt.position}"
    record(db, Event(job["namespace"], f"Pod/{name}", "Created", text), now)
    return name


def _about(job: Row, reason: str, message: str) -> Event:
    return Event(job["namespace"], f"Job/{job['name']}", reason, message)


def _random_suffix() -> str:
    return "".join(_SUFFIX[byte % len(_SUFFIX)] for byte in os.urandom(5))
