"""What the cluster says happened. The same thing said again is counted, as Kubernetes does it."""

from typing import NamedTuple

from livecalc.cluster.local.store import Connection

CLUSTER_NAMESPACE = "default"
"""Where events on objects that belong to no namespace go, as in Kubernetes."""

_KEPT_SECONDS = 3600.0
"""How long they stay there: an API server's default. Others go with their namespace."""


class Event(NamedTuple):
    """One thing that happened to one object."""

    namespace: str
    about: str
    """`Kind/name`."""
    reason: str
    message: str


def record(db: Connection, event: Event, now: float) -> None:
    """Say that something went as it should."""
    _write(db, event, "Normal", now)


def warn(db: Connection, event: Event, now: float) -> None:
    """Say that something did not."""
    _write(db, event, "Warning", now)


def _write(db: Connection, event: Event, kind: str, now: float) -> None:
    if event.namespace == CLUSTER_NAMESPACE:
        db.execute("DELETE FROM events WHERE namespace = ? AND time < ?", (event.namespace, now - _KEPT_SECONDS))
    db.execute(
        "INSERT INTO events (namespace, object, reason, message, type, time) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET count = count + 1, time = excluded.time",
        (*event, kind, now),
    )
