"""What people and tests do to claims and volumes; the port only lists them. Rows only."""

import json
import uuid
from typing import Literal

from livecalc.cluster.local import names
from livecalc.cluster.local.namespaces import check_open
from livecalc.cluster.local.records import claim_record, encode, volume_record
from livecalc.cluster.local.store import Connection, Row
from livecalc.cluster.port import VolumeClaimRecord, VolumeRecord
from livecalc.domain.errors import AlreadyExists, NotFound

ReclaimPolicy = Literal["Delete", "Retain"]


def create_claim(
    db: Connection, namespace: str, name: str, policy: ReclaimPolicy, finalizers: tuple[str, ...]
) -> VolumeClaimRecord:
    """Insert a claim, which the node binds. Raises AlreadyExists, Conflict, InvalidInput, NotFound."""
    names.check_name("volume claim", name)
    for finalizer in finalizers:
        names.check_finalizer(finalizer)
    check_open(db, namespace)
    if db.execute("SELECT 1 FROM claims WHERE namespace = ? AND name = ?", (namespace, name)).fetchone():
        raise AlreadyExists(f"volume claim {name} exists already in namespace {namespace}")
    db.execute(
        "INSERT INTO claims (uid, namespace, name, policy, finalizers) VALUES (?, ?, ?, ?, ?)",
        (str(uuid.uuid4()), namespace, name, policy, encode(finalizers)),
    )
    return claim_record(_get_claim(db, namespace, name))


def remove_claim_finalizer(db: Connection, namespace: str, name: str, finalizer: str) -> None:
    """Take a finalizer from a claim; one that is not there is fine. Raises NotFound."""
    claim = _get_claim(db, namespace, name)
    kept = [present for present in json.loads(claim["finalizers"]) if present != finalizer]
    db.execute("UPDATE claims SET finalizers = ? WHERE uid = ?", (encode(kept), claim["uid"]))
    db.execute("UPDATE namespaces SET tried = 0 WHERE name = ?", (namespace,))


def list_volumes(db: Connection) -> list[VolumeRecord]:
    """All volumes, by name."""
    return [volume_record(row) for row in db.execute("SELECT * FROM volumes ORDER BY name")]


def attach_volume(db: Connection, name: str, holder: str) -> None:
    """Say that something still uses a volume: it cannot be removed. Raises NotFound."""
    _get_volume(db, name)
    db.execute("UPDATE volumes SET attached = ? WHERE name = ?", (f"it is still attached to {holder}", name))


def detach_volume(db: Connection, name: str) -> None:
    """Say that nothing uses a volume any more; if it was to be removed, it is now. Raises NotFound."""
    _get_volume(db, name)
    db.execute("UPDATE volumes SET attached = '', tried = 0 WHERE name = ?", (name,))


def delete_volume(db: Connection, name: str) -> None:
    """Have a volume that is bound no more removed, whatever its policy. Raises NotFound."""
    _get_volume(db, name)
    db.execute("UPDATE volumes SET policy = 'Delete', tried = 0 WHERE name = ? AND phase <> 'Bound'", (name,))


def _get_claim(db: Connection, namespace: str, name: str) -> Row:
    row = db.execute("SELECT * FROM claims WHERE namespace = ? AND name = ?", (namespace, name)).fetchone()
    if row is None:
        raise NotFound(f"there is no volume claim {name} in namespace {namespace}")
    return row


def _get_volume(db: Connection, name: str) -> Row:
    row = db.execute("SELECT * FROM volumes WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NotFound(f"there is no volume {name}")
    return row
