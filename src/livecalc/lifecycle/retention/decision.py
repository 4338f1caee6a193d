"""What is decided on one archive, job or bundle, and what can stand against its deletion. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from livecalc.domain.timestamps import format_timestamp
from livecalc.lifecycle.plan import describe
from livecalc.lifecycle.retention.seen import ArchiveSeen, BundleSeen, JobSeen, Stored, TenantSeen
from livecalc.wire.retention import Hold


class Keep(Struct, frozen=True, tag=True):
    """Leave it."""

    reason: str
    problem: bool = False
    """Whether people should look after it."""


class Delete(Struct, frozen=True, tag=True):
    """Let it go."""

    reason: str
    after: frozenset[str] = frozenset()
    """The keys of what must be gone before, because it needs this."""


Decision = Keep | Delete


def decide_archive(tenant: TenantSeen, seen: ArchiveSeen, now: datetime) -> Decision:
    """Decide on one archive for its own sake."""
    if seen.unknown:
        return Keep(seen.unknown, problem=True)
    if seen.path in tenant.claimed:
        return Keep("it is being written")
    standing = _held(tenant.holds, seen) or _standing(tenant, seen.kept_until, seen.stored, now)
    if standing is not None:
        return standing
    left = "" if seen.has_manifest else ", and it has no manifest"
    return Delete(f"kept until {_day(seen.kept_until)}{left}")


def decide_job(
    tenant: TenantSeen, seen: JobSeen, needing: Sequence[ArchiveSeen], keeping: Sequence[ArchiveSeen], now: datetime
) -> Decision:
    """Decide on one job that some archives need, of which those `keeping` it stay."""
    standing = _why_job_stays(tenant, seen, keeping, now)
    if standing is not None and seen.model_bundle_hash is None and not standing.problem:
        return Keep(f"{standing.reason}; its record is gone, so every bundle of its tenant stays", problem=True)
    if standing is not None:
        return standing
    why = "no archive needs it any more" if needing else "no archive needs it"
    return Delete(f"{why}; kept until {_day(seen.kept_until)}", frozenset(each.key for each in needing))


def _why_job_stays(tenant: TenantSeen, seen: JobSeen, keeping: Sequence[ArchiveSeen], now: datetime) -> Keep | None:
    if seen.unknown:
        return Keep(seen.unknown, problem=True)
    if seen.bucket_id in tenant.buckets:
        return Keep("its bucket has a namespace")
    if keeping:
        return Keep(f"archive {keeping[0].path} needs it")
    return _held(tenant.holds, seen) or _standing(tenant, seen.kept_until, seen.stored, now)


def decide_bundle(
    tenant: TenantSeen,
    seen: BundleSeen,
    needing: Sequence[ArchiveSeen | JobSeen],
    keeping: Sequence[ArchiveSeen | JobSeen],
    now: datetime,
) -> Decision:
    """Decide on one bundle that some jobs and archives need, of which those `keeping` it stay."""
    if keeping:
        return Keep(f"{keeping[0].target.kind} {keeping[0].target.name} needs it")
    standing = _standing(tenant, seen.kept_until, seen.stored, now)
    if standing is not None:
        return standing
    return Delete("no job needs it any more" if needing else "no job needs it", frozenset(each.key for each in needing))


def widened(holds: Sequence[Hold], archives: Sequence[ArchiveSeen]) -> tuple[Hold, ...]:
    """Let a hold on an archive that is not to be seen keep everything of its bucket: nobody knows what it needs."""
    missing = unseen(holds, archives)
    return tuple(msgspec.structs.replace(hold, timestamp=None) if hold in missing else hold for hold in holds)


def unseen(holds: Sequence[Hold], archives: Sequence[ArchiveSeen]) -> list[Hold]:
    """Find the holds on archives that are not to be seen."""
    paths = {archive.path for archive in archives}
    return [hold for hold in holds if hold.timestamp is not None and f"{hold.bucket_id}/{hold.timestamp}" not in paths]


def _held(holds: Iterable[Hold], seen: ArchiveSeen | JobSeen) -> Keep | None:
    for hold in holds:
        if isinstance(seen, ArchiveSeen):
            covers = hold.covers(seen.path)
        else:
            # A job whose bucket is not known may be of any.
            covers = hold.timestamp is None and seen.bucket_id in {hold.bucket_id, ""}
        if covers:
            return Keep(f"held by {hold.held_by}: {hold.reason}")
    return None


def _standing(tenant: TenantSeen, kept_until: datetime, stored: Stored, now: datetime) -> Keep | None:
    """Find what stands against any deletion: its date, the store itself, an audit record that cannot be written."""
    if now <= kept_until:
        return Keep(f"kept for another {_span(kept_until - now)}")
    if stored.legal_hold:
        return Keep("the store has a legal hold on it")
    if stored.locked_until is not None and stored.locked_until >= now:
        return Keep(f"the store has locked it until {_day(stored.locked_until)}")
    if tenant.tenant_id is None:
        return Keep("the id of its tenant is written nowhere, so that its deletion cannot be audited", problem=True)
    return None


def _day(moment: datetime) -> str:
    return format_timestamp(moment)[:10]


def _span(left: timedelta) -> str:
    return f"{left.days} days" if left.days > 1 else describe(left)
