"""Volume claims and the volumes behind them: folders that are made, kept or removed as their reclaim policy says."""

from livecalc.cluster.local.events import CLUSTER_NAMESPACE, Event, record, warn
from livecalc.cluster.local.home import Home
from livecalc.cluster.local.pending import RETRY_SECONDS
from livecalc.cluster.local.removal import remove_tree
from livecalc.cluster.local.store import Row, Store


def provision_claims(store: Store, now: float) -> None:
    """Bind each new claim to a volume of its own."""
    with store.read() as db:
        claims = db.execute(
            "SELECT * FROM claims WHERE phase = 'Pending' AND tried < ?",
            (now - RETRY_SECONDS,),
        ).fetchall()
    for claim in claims:
        _provision(store, claim, now)


def _provision(store: Store, claim: Row, now: float) -> None:
    volume = f"pvc-{claim['uid']}"
    about = f"PersistentVolumeClaim/{claim['name']}"
    try:
        store.home.volume(volume).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        with store.write() as db:
            db.execute("UPDATE claims SET tried = ? WHERE uid = ?", (now, claim["uid"]))
            text = f"no folder for {volume}: {error.strerror}"
            warn(db, Event(claim["namespace"], about, "ProvisioningFailed", text), now)
        return
    with store.write() as db:
        db.execute(
            "INSERT INTO volumes (name, phase, claim, policy) VALUES (?, 'Bound', ?, ?)",
            (volume, f"{claim['namespace']}/{claim['name']}", claim["policy"]),
        )
        bound = db.execute("UPDATE claims SET phase = 'Bound', volume = ? WHERE uid = ?", (volume, claim["uid"]))
        if bound.rowcount == 0:
            db.execute("UPDATE volumes SET phase = 'Released' WHERE name = ?", (volume,))
        record(db, Event(claim["namespace"], about, "ProvisioningSucceeded", f"bound to {volume}"), now)


def reclaim_volumes(store: Store, now: float) -> None:
    """Remove the volumes that nobody claims any more and whose policy says so."""
    with store.read() as db:
        volumes = db.execute(
            "SELECT * FROM volumes WHERE policy = 'Delete' AND phase IN ('Released', 'Failed') AND tried < ?",
            (now - RETRY_SECONDS,),
        ).fetchall()
    for volume in volumes:
        trouble = volume["attached"] or _remove_folder(store.home, volume["name"])
        with store.write() as db:
            if not trouble:
                db.execute("DELETE FROM volumes WHERE name = ?", (volume["name"],))
                continue
            db.execute("UPDATE volumes SET phase = 'Failed', tried = ? WHERE name = ?", (now, volume["name"]))
            about = f"PersistentVolume/{volume['name']}"
            warn(db, Event(CLUSTER_NAMESPACE, about, "VolumeFailedDelete", trouble), now)


def _remove_folder(home: Home, name: str) -> str:
    """Remove a volume's folder; the answer says why that failed, empty when it did not."""
    try:
        remove_tree(home.volume(name))
    except OSError as error:
        return f"the folder {home.volume(name)} cannot be removed: {error.strerror or error}"
    return ""
