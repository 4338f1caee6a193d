"""What clients do to namespaces: rows, versions and preconditions, as a Kubernetes API server keeps them."""

import json
import uuid
from collections.abc import Mapping

from livecalc.cluster.local import names
from livecalc.cluster.local.records import decode_texts, encode, namespace_record
from livecalc.cluster.local.store import Connection, Row, next_version
from livecalc.cluster.local.terminate import close_if_empty, forget_jobs
from livecalc.domain.errors import AlreadyExists, Conflict, InvalidInput, NotFound, PreconditionFailed
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.receipts import ArchiveReceipt, ArchiveWaiver


def create_namespace(
    db: Connection, name: str, labels: Mapping[str, str], annotations: Mapping[str, str], now: float
) -> NamespaceRecord:
    """Insert a namespace. Raises AlreadyExists, InvalidInput."""
    names.check_name("namespace", name)
    names.check_labels(labels)
    names.check_annotations(annotations)
    present = _find(db, name)
    if present is not None:
        state = "is being deleted; try again when it is gone" if present["deleted"] is not None else "exists already"
        raise AlreadyExists(f"namespace {name} {state}")
    db.execute(
        "INSERT INTO namespaces (name, uid, version, labels, annotations, created) VALUES (?, ?, ?, ?, ?, ?)",
        (name, str(uuid.uuid4()), next_version(db), encode(dict(labels)), encode(dict(annotations)), now),
    )
    return get_namespace(db, name)


def get_namespace(db: Connection, name: str) -> NamespaceRecord:
    """Read a namespace. Raises NotFound."""
    return namespace_record(_get(db, name))


def list_namespaces(db: Connection, labels: Mapping[str, str]) -> tuple[NamespaceRecord, ...]:
    """All namespaces with these labels, by name."""
    wanted = labels.items()
    rows = db.execute("SELECT * FROM namespaces ORDER BY name")
    return tuple(record for record in map(namespace_record, rows) if wanted <= record.labels.items())


def check_open(db: Connection, name: str) -> None:
    """Raise NotFound or, when new objects cannot be made in it, Conflict."""
    if _get(db, name)["deleted"] is not None:
        raise Conflict(f"namespace {name} is being deleted and takes nothing new")


def patch_namespace(
    db: Connection,
    record: NamespaceRecord,
    annotations: Mapping[str, str | None],
    finalizers: tuple[str | None, str | None],
    *,
    any_version: bool,
) -> NamespaceRecord:
    """Change annotations and finalizers (one to add, one to remove). Raises as the port says."""
    row = _get_exact(db, record, any_version=any_version)
    changed = _merged(decode_texts(row["annotations"]), annotations)
    present: list[str] = json.loads(row["finalizers"])
    kept = _changed_finalizers(row, present, *finalizers)
    if changed == decode_texts(row["annotations"]) and kept == present:
        return namespace_record(row)
    names.check_annotations(changed)
    db.execute(
        "UPDATE namespaces SET annotations = ?, finalizers = ?, version = ? WHERE name = ?",
        (encode(changed), encode(kept), next_version(db), record.name),
    )
    last = get_namespace(db, record.name)
    if last.content_gone and not kept:
        db.execute("DELETE FROM namespaces WHERE name = ?", (record.name,))
    return last


def delete_namespace(
    db: Connection, record: NamespaceRecord, receipt: ArchiveReceipt | ArchiveWaiver, now: float
) -> None:
    """Begin to delete; the node does the rest. Raises as the port says."""
    if receipt.namespace_uid != record.uid:
        raise InvalidInput(f"the receipt is of another namespace than {record.name} ({record.uid})")
    row = _get_exact(db, record, any_version=False)
    # Asked again, the node tries again at once what it could not remove before.
    db.execute("UPDATE namespaces SET tried = 0 WHERE name = ?", (record.name,))
    db.execute("UPDATE pods SET not_before = 0 WHERE namespace = ?", (record.name,))
    if row["deleted"] is not None:
        return
    db.execute(
        "UPDATE namespaces SET deleted = ?, version = ? WHERE name = ?",
        (now, next_version(db), record.name),
    )
    db.execute("DELETE FROM pods WHERE namespace = ? AND phase = 'Pending'", (record.name,))
    db.execute("UPDATE pods SET deleted = ? WHERE namespace = ? AND deleted IS NULL", (now, record.name))
    db.execute("UPDATE jobs SET deleted = ? WHERE namespace = ? AND deleted IS NULL", (now, record.name))
    forget_jobs(db)
    close_if_empty(db, record.name)


def _find(db: Connection, name: str) -> Row | None:
    row: Row | None = db.execute("SELECT * FROM namespaces WHERE name = ?", (name,)).fetchone()
    return row


def _get(db: Connection, name: str) -> Row:
    row = _find(db, name)
    if row is None:
        raise NotFound(f"there is no namespace {name}")
    return row


def _get_exact(db: Connection, record: NamespaceRecord, *, any_version: bool) -> Row:
    row = _get(db, record.name)
    if row["uid"] != record.uid:
        raise NotFound(f"namespace {record.name} is another one now; the one that was read is gone")
    if not any_version and str(row["version"]) != record.resource_version:
        raise PreconditionFailed(f"namespace {record.name} was changed since it was read; read it again")
    return row


def _merged(present: dict[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**present, **{key: value for key, value in changes.items() if value is not None}}
    return {key: value for key, value in merged.items() if changes.get(key, "") is not None}


def _changed_finalizers(row: Row, present: list[str], add: str | None, remove: str | None) -> list[str]:
    kept = [finalizer for finalizer in present if finalizer != remove]
    if add is None or add in kept:
        return kept
    names.check_finalizer(add)
    if row["deleted"] is not None:
        raise Conflict(f"namespace {row['name']} is being deleted and takes no new finalizer")
    return [*kept, add]
