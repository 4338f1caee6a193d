"""What clients do to jobs, pods and claims: rows only; the node does the rest."""

import uuid
from collections.abc import Mapping

from livecalc.cluster.local import jobs, names
from livecalc.cluster.local.events import Event, record
from livecalc.cluster.local.namespaces import check_open
from livecalc.cluster.local.records import (
    claim_record,
    decode_texts,
    encode,
    event_record,
    job_record,
    pod_record,
)
from livecalc.cluster.local.store import Connection, Row
from livecalc.cluster.local.terminate import forget_jobs
from livecalc.cluster.port import ClusterJob, EventRecord, JobSpec, PodRecord, PodTemplate, VolumeClaimRecord
from livecalc.domain.errors import AlreadyExists, InvalidInput, NotFound


def create_job(db: Connection, namespace: str, spec: JobSpec, now: float) -> ClusterJob:
    """Insert a job and its first pods. Raises as the port says, and InvalidInput."""
    names.check_name("job", spec.name)
    _check_template(spec.template)
    if spec.partitions < 1 or spec.retries < 0 or spec.deadline_seconds <= 0:
        raise InvalidInput(f"job {spec.name} needs at least one partition, no negative retries, and a deadline")
    check_open(db, namespace)
    if _find_job(db, namespace, spec.name) is not None:
        raise AlreadyExists(f"job {spec.name} exists already in namespace {namespace}")
    uid = str(uuid.uuid4())
    db.execute(
        "INSERT INTO jobs (uid, namespace, name, labels, template, partitions, retries, final_exits, deadline, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(uid, namespace, spec.name, encode(dict(spec.template.labels)), encode(spec.template)),
            *(spec.partitions, spec.retries, encode(sorted(spec.final_exits)), now + spec.deadline_seconds, now),
        ),
    )
    job = _get_job(db, namespace, spec.name)
    jobs.add_pods(db, job, range(spec.partitions), now)
    return job_record(job, ())


def list_jobs(db: Connection, namespace: str) -> list[ClusterJob]:
    """The jobs of a namespace, by name."""
    succeeded: dict[str, list[int]] = {}
    for row in db.execute(
        "SELECT job, position FROM pods WHERE namespace = ? AND phase = 'Succeeded' AND job IS NOT NULL",
        (namespace,),
    ):
        succeeded.setdefault(row["job"], []).append(row["position"])
    rows = db.execute("SELECT * FROM jobs WHERE namespace = ? AND deleted IS NULL ORDER BY name", (namespace,))
    return [job_record(row, succeeded.get(row["uid"], ())) for row in rows]


def cancel_job(db: Connection, namespace: str, name: str, now: float) -> None:
    """Begin to fail a job as cancelled, unless it is over. Raises NotFound."""
    job = _get_job(db, namespace, name)
    if job["finished"] is None and not job["reason"]:
        jobs.stop_job(db, job, "Cancelled", "it was cancelled", now)


def delete_job(db: Connection, namespace: str, name: str, now: float) -> None:
    """Begin to delete a job and its pods. Raises NotFound."""
    job = _get_job(db, namespace, name)
    db.execute("UPDATE jobs SET deleted = ? WHERE uid = ?", (now, job["uid"]))
    db.execute("DELETE FROM pods WHERE job = ? AND phase = 'Pending'", (job["uid"],))
    db.execute("UPDATE pods SET deleted = ? WHERE job = ? AND deleted IS NULL", (now, job["uid"]))
    forget_jobs(db)


def list_pods(db: Connection, namespace: str) -> list[PodRecord]:
    """The pods of a namespace, by name."""
    return [pod_record(row) for row in db.execute("SELECT * FROM pods WHERE namespace = ? ORDER BY name", (namespace,))]


def get_pod(db: Connection, namespace: str, name: str) -> PodRecord:
    """One pod. Raises NotFound."""
    row = db.execute("SELECT * FROM pods WHERE namespace = ? AND name = ?", (namespace, name)).fetchone()
    if row is None:
        raise NotFound(f"there is no pod {name} in namespace {namespace}")
    return pod_record(row)


def create_pod(db: Connection, namespace: str, name: str, template: PodTemplate, now: float) -> PodRecord:
    """Insert a pod of no job. Raises AlreadyExists, Conflict, InvalidInput, NotFound."""
    names.check_name("pod", name)
    _check_template(template)
    check_open(db, namespace)
    if db.execute("SELECT 1 FROM pods WHERE namespace = ? AND name = ?", (namespace, name)).fetchone():
        raise AlreadyExists(f"pod {name} exists already in namespace {namespace}")
    db.execute(
        "INSERT INTO pods (uid, namespace, name, template, labels, created) VALUES (?, ?, ?, ?, ?, ?)",
        (str(uuid.uuid4()), namespace, name, encode(template), encode(dict(template.labels)), now),
    )
    record(db, Event(namespace, f"Pod/{name}", "Created", "by itself"), now)
    return get_pod(db, namespace, name)


def annotate_pod(db: Connection, namespace: str, name: str, annotations: Mapping[str, str]) -> None:
    """Add or replace annotations. Raises NotFound, InvalidInput."""
    row = db.execute("SELECT uid, annotations FROM pods WHERE namespace = ? AND name = ?", (namespace, name)).fetchone()
    if row is None:
        raise NotFound(f"there is no pod {name} in namespace {namespace}")
    merged = {**decode_texts(row["annotations"]), **annotations}
    names.check_annotations(merged)
    db.execute("UPDATE pods SET annotations = ? WHERE uid = ?", (encode(merged), row["uid"]))


def list_events(db: Connection, namespace: str) -> list[EventRecord]:
    """The events of a namespace, oldest first."""
    rows = db.execute("SELECT * FROM events WHERE namespace = ? ORDER BY time, rowid", (namespace,))
    return [event_record(row) for row in rows]


def list_claims(db: Connection, namespace: str) -> list[VolumeClaimRecord]:
    """The claims of a namespace, by name."""
    rows = db.execute("SELECT * FROM claims WHERE namespace = ? ORDER BY name", (namespace,))
    return [claim_record(row) for row in rows]


def _check_template(template: PodTemplate) -> None:
    names.check_labels(template.labels)
    if not template.command or template.memory < 1:
        raise InvalidInput("a pod needs a command, and memory to run it in")
    settings = {**template.env, **template.secret}
    if any("\0" in text for text in (*template.command, *settings, *settings.values())):
        raise InvalidInput("a pod's command and environment cannot hold NUL characters")
    if any(not name or "=" in name for name in settings):
        raise InvalidInput("the name of an environment variable cannot be empty or hold `=`")


def _find_job(db: Connection, namespace: str, name: str) -> Row | None:
    row: Row | None = db.execute(
        "SELECT * FROM jobs WHERE namespace = ? AND name = ? AND deleted IS NULL",
        (namespace, name),
    ).fetchone()
    return row


def _get_job(db: Connection, namespace: str, name: str) -> Row:
    row = _find_job(db, namespace, name)
    if row is None:
        raise NotFound(f"there is no job {name} in namespace {namespace}")
    return row
