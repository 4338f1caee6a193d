"""The namespace controller: what goes when a namespace is deleted, in which order, and what keeps it. Rows only."""

import json

from livecalc.cluster.local.events import Event, warn
from livecalc.cluster.local.pending import RETRY_SECONDS
from livecalc.cluster.local.store import Connection, next_version


def terminating_namespaces(db: Connection, now: float) -> list[str]:
    """The namespaces that can get further now: their pods are gone, or cannot be removed."""
    rows = db.execute(
        "SELECT name FROM namespaces WHERE deleted IS NOT NULL AND NOT content_gone AND (blockers = '[]' OR tried < ?)"
        " AND (NOT EXISTS (SELECT 1 FROM pods WHERE pods.namespace = namespaces.name)"
        "      OR EXISTS (SELECT 1 FROM pods WHERE pods.namespace = namespaces.name AND pods.not_before > ?))",
        (now - RETRY_SECONDS, now),
    )
    return [row["name"] for row in rows]


def release_claims(db: Connection, namespace: str) -> None:
    """Remove the claims of a namespace whose pods are gone, but those that a finalizer holds."""
    if _count(db, "pods", namespace):
        return
    free = db.execute("SELECT * FROM claims WHERE namespace = ? AND finalizers = '[]'", (namespace,)).fetchall()
    for claim in free:
        db.execute("DELETE FROM claims WHERE uid = ?", (claim["uid"],))
        db.execute("UPDATE volumes SET phase = 'Released', tried = 0 WHERE name = ?", (claim["volume"],))


def forget_jobs(db: Connection) -> None:
    """Remove the deleted jobs whose pods are gone."""
    db.execute(
        "DELETE FROM jobs WHERE deleted IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pods WHERE pods.job = jobs.uid)",
    )


def close_if_empty(db: Connection, name: str) -> bool:
    """End a terminating namespace of which nothing is left inside, as far as its finalizers let it."""
    if any(_count(db, table, name) for table in ("pods", "jobs", "claims")):
        return False
    db.execute("DELETE FROM events WHERE namespace = ?", (name,))
    db.execute("DELETE FROM namespaces WHERE name = ? AND finalizers = '[]'", (name,))
    db.execute(
        "UPDATE namespaces SET content_gone = 1, blockers = '[]', version = ? WHERE name = ?",
        (next_version(db), name),
    )
    return True


def note_blockers(db: Connection, name: str, now: float) -> None:
    """Write down what keeps a terminating namespace and will not pass by itself."""
    row = db.execute("SELECT blockers FROM namespaces WHERE name = ?", (name,)).fetchone()
    blockers = json.dumps(_blockers(db, name, now))
    db.execute("UPDATE namespaces SET tried = ? WHERE name = ?", (now if blockers != "[]" else 0, name))
    if blockers != row["blockers"]:
        db.execute(
            "UPDATE namespaces SET blockers = ?, version = ? WHERE name = ?",
            (blockers, next_version(db), name),
        )
        for sentence in json.loads(blockers):
            warn(db, Event(name, f"Namespace/{name}", "NamespaceBlocked", sentence), now)


def _blockers(db: Connection, name: str, now: float) -> list[str]:
    """One sentence for each condition, which it begins with, as Kubernetes names them."""
    stuck = db.execute(
        "SELECT name, message FROM pods WHERE namespace = ? AND phase NOT IN ('Pending', 'Running') AND not_before > ?",
        (name, now),
    ).fetchall()
    remaining = [f"pod {row['name']}: {row['message']}" for row in stuck]
    held: dict[str, int] = {}
    claims = db.execute("SELECT name, finalizers FROM claims WHERE namespace = ? AND finalizers <> '[]'", (name,))
    # Claims go after the pods; as long as a pod is still being stopped, nothing is stuck.
    for claim in claims.fetchall() if not _count(db, "pods", name) else ():
        remaining.append(f"volume claim {claim['name']}")
        for finalizer in json.loads(claim["finalizers"]):
            held[finalizer] = held.get(finalizer, 0) + 1
    sentences = [f"NamespaceContentRemaining: {', '.join(remaining)}"] if remaining else []
    if held:
        counts = ", ".join(f"{finalizer} on {count} of its objects" for finalizer, count in sorted(held.items()))
        sentences.append(f"NamespaceFinalizersRemaining: {counts}")
    return sentences


def _count(db: Connection, table: str, namespace: str) -> int:
    statement = f"SELECT count(*) FROM {table} WHERE namespace = ?"  # noqa: S608  (the table is one of ours)
    return int(db.execute(statement, (namespace,)).fetchone()[0])
