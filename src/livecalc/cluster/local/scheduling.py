"""What a node does to the rows of pods: take them, record their ends, find those that a dead node left, remove them."""

from livecalc.cluster.local import jobs
from livecalc.cluster.local.events import Event, record, warn
from livecalc.cluster.local.pending import LONGEST_WAIT, RETRY_SECONDS
from livecalc.cluster.local.pods import KILLED, End, last_words
from livecalc.cluster.local.removal import remove_tree
from livecalc.cluster.local.store import Connection, Row, Store
from livecalc.cluster.local.terminate import forget_jobs

_READY = "phase = 'Pending' AND deleted IS NULL AND (not_before <= :now OR not_before > :now + :longest)"


def take_pods(store: Store, free: int, node: str, now: float) -> list[Row]:
    """Mark up to `free` waiting pods as running here, oldest first, and return their rows with their templates."""
    ready = {"now": now, "longest": LONGEST_WAIT, "free": free}
    with store.read() as db:
        if free < 1 or not db.execute(f"SELECT 1 FROM pods WHERE {_READY} LIMIT 1", ready).fetchone():  # noqa: S608  (a constant)
            return []
    with store.write() as db:
        statement = f"SELECT uid FROM pods WHERE {_READY} ORDER BY created, position LIMIT :free"  # noqa: S608  (a constant)
        return [_take(db, row["uid"], node, now) for row in db.execute(statement, ready).fetchall()]


def _take(db: Connection, uid: str, node: str, now: float) -> Row:
    db.execute("UPDATE pods SET phase = 'Running', node = ?, started = ? WHERE uid = ?", (node, now, uid))
    row: Row = db.execute(
        "SELECT pods.*, coalesce(pods.template, jobs.template) AS command FROM pods"
        " LEFT JOIN jobs ON jobs.uid = pods.job WHERE pods.uid = ?",
        (uid,),
    ).fetchone()
    db.execute(
        "UPDATE jobs SET state = 'running', started = coalesce(started, ?) WHERE uid = ? AND finished IS NULL",
        (now, row["job"]),
    )
    record(db, about_pod(row, "Started", f"on {node}"), now)
    return row


def record_end(db: Connection, uid: str, end: End, now: float, backoff: float) -> None:
    """Write down how a pod ended, and let its job go on from there."""
    before: Row = db.execute("SELECT * FROM pods WHERE uid = ?", (uid,)).fetchone()
    succeeded = end.exit_code == 0
    lost = end.reason == jobs.NODE_LOST
    why = "" if succeeded else jobs.NODE_LOST if lost else before["stop"]
    late = why == "DeadlineExceeded"
    db.execute(
        "UPDATE pods SET phase = ?, reason = ?, message = ?, finished = ?, exit_code = ?, exit_reason = ?,"
        " exit_message = ? WHERE uid = ?",
        (
            *("Succeeded" if succeeded else "Failed", why, _explanation(end, why), now),
            *(end.exit_code, why if late else end.reason, end.message, uid),
        ),
    )
    if succeeded:
        record(db, about_pod(before, "Completed", "exit code 0"), now)
    else:
        kind = {"OOMKilled": "OOMKilling", jobs.NODE_LOST: jobs.NODE_LOST}.get(end.reason, "Failed")
        warn(db, about_pod(before, kind, f"exit code {end.exit_code}, {why or end.reason}"), now)
    pod = db.execute("SELECT * FROM pods WHERE uid = ?", (uid,)).fetchone()
    jobs.pod_ended(db, pod, now, backoff)


def _explanation(end: End, why: str) -> str:
    if why == jobs.NODE_LOST:
        return "the node process died while the pod ran"
    if end.reason == "OOMKilled":
        return "it had more memory than it may"
    return end.message if end.reason == "StartError" else ""


def running_uids(store: Store) -> list[str]:
    """The pods that are marked as running."""
    with store.read() as db:
        return [row["uid"] for row in db.execute("SELECT uid FROM pods WHERE phase = 'Running'")]


def record_loss(store: Store, uid: str, now: float) -> None:
    """Write down that a pod ended with its node."""
    with store.write() as db:
        record_end(db, uid, End(KILLED, jobs.NODE_LOST, last_words(store.home.pod(uid))), now, 0.0)


def record_stop(store: Store, row: Row, grace: float, now: float) -> None:
    """Write down that a pod was asked to end."""
    with store.write() as db:
        text = f"{row['stop'] or 'deleted'}, grace period {grace:g} s"
        record(db, about_pod(row, "Killing", text), now)


def about_pod(row: Row, reason: str, message: str) -> Event:
    """An event of a pod."""
    return Event(row["namespace"], f"Pod/{row['name']}", reason, message)


def pods_to_stop(store: Store) -> list[Row]:
    """Running pods that are to end."""
    with store.read() as db:
        return db.execute(
            "SELECT * FROM pods WHERE phase = 'Running' AND (stop <> '' OR deleted IS NOT NULL)",
        ).fetchall()


def remove_pods(store: Store, now: float) -> None:
    """Remove the deleted pods that do not run: their folder, then their row."""
    with store.read() as db:
        rows = db.execute(
            "SELECT uid, name, namespace FROM pods"
            " WHERE deleted IS NOT NULL AND phase <> 'Running' AND (phase = 'Pending' OR not_before <= ?)",
            (now,),
        ).fetchall()
    if not rows:
        return
    troubles = {row["uid"]: _remove_folder(store, row["uid"]) for row in rows}
    with store.write() as db:
        for row in rows:
            if troubles[row["uid"]]:
                _note_trouble(db, row, troubles[row["uid"]], now)
            else:
                db.execute("DELETE FROM pods WHERE uid = ?", (row["uid"],))
        forget_jobs(db)


def _remove_folder(store: Store, uid: str) -> str:
    folder = store.home.pod(uid).path
    try:
        remove_tree(folder)
    except OSError as error:
        return f"the folder {folder} cannot be removed: {error.strerror or error}"
    return ""


def _note_trouble(db: Connection, row: Row, trouble: str, now: float) -> None:
    db.execute(
        "UPDATE pods SET phase = 'Failed', message = ?, not_before = ? WHERE uid = ?",
        (trouble, now + RETRY_SECONDS, row["uid"]),
    )
    warn(db, about_pod(row, "FailedRemove", trouble), now)
