"""A reaper's claim on a namespace: what its annotations say, and how they are written."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from livecalc.domain import namespaces as ns
from livecalc.domain.namespaces import FINALIZER, NamespaceRecord, Status
from livecalc.domain.tenants import CLEANUP_USER
from livecalc.domain.timestamps import format_timestamp, parse_timestamp


class Claim(Struct, frozen=True, kw_only=True):
    """Who reaps a namespace, for whom and why, and how far the claim is alive."""

    holder: str
    """Unique to one reaper process; empty when it was given back, so that anyone may go on at once."""
    reason: str
    user_id: str
    """Who asked for it: the cleanup worker, or a caller of the API."""
    request_id: str
    """The same for all that continue the claim, so that nothing is audited twice."""
    started_at: datetime | None
    renewed: tuple[str, str]
    """Last renewal and number of renewals, as written: while the holder lives, this changes."""
    archive: str
    """`{bucket_id}/{timestamp}` that everybody who continues the claim archives to."""
    volumes: tuple[str, ...]
    """The volumes that were bound to the namespace's volume claims."""


def read_claim(record: NamespaceRecord) -> Claim | None:
    """Read the claim that a namespace carries, whatever is missing of it; None when there is none."""
    if record.status is not Status.REAPING and FINALIZER not in record.finalizers:
        return None
    notes = record.annotations
    return Claim(
        holder=notes.get(ns.REAP_HOLDER, ""),
        reason=notes.get(ns.REAP_REASON, ""),
        user_id=notes.get(ns.REAP_USER, "") or CLEANUP_USER,
        request_id=notes.get(ns.REAP_REQUEST, "") or f"reap-{record.uid}",
        started_at=parse_timestamp(notes.get(ns.REAP_STARTED_AT, "")),
        renewed=(notes.get(ns.REAP_RENEWED_AT, ""), notes.get(ns.REAP_RENEWALS, "")),
        archive=notes.get(ns.REAP_ARCHIVE, ""),
        volumes=tuple(name for name in notes.get(ns.REAP_VOLUMES, "").split(",") if name),
    )


def write_claim(claim: Claim, now: datetime) -> dict[str, str]:
    """The annotations of a claim that begins or goes over to a new holder at `now`."""
    return {
        ns.STATUS: Status.REAPING,
        ns.REAP_HOLDER: claim.holder,
        ns.REAP_REASON: claim.reason,
        ns.REAP_USER: claim.user_id,
        ns.REAP_REQUEST: claim.request_id,
        ns.REAP_STARTED_AT: format_timestamp(claim.started_at or now),
        ns.REAP_ARCHIVE: claim.archive,
        ns.REAP_VOLUMES: write_volumes(claim.volumes),
        **renewal(claim, now),
    }


def renewal(claim: Claim, now: datetime) -> dict[str, str]:
    """The annotations that renew a claim. The count changes even when two renewals fall into one second."""
    count = claim.renewed[1]
    return {
        ns.REAP_RENEWED_AT: format_timestamp(now),
        ns.REAP_RENEWALS: str(int(count) + 1) if count.isascii() and count.isdigit() else "0",
    }


def write_volumes(names: Sequence[str]) -> str:
    """Volumes as one annotation; a volume's name is a DNS name and has no comma."""
    return ",".join(sorted(set(names)))
