"""Decide what has outlived its retention. Pure: the printed plan is the dry run, the `curator` acts on it.

An archive goes when its date is past; a job when no archive that stays needs it; a bundle when no job that stays does.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from livecalc.domain.timestamps import format_timestamp
from livecalc.lifecycle.plan import CLOCK_TOLERANCE, describe
from livecalc.lifecycle.retention.marks import Mark
from livecalc.lifecycle.retention.seen import ArchiveSeen, BundleSeen, JobSeen, Seen, Stored, TenantSeen
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


class Entry(Struct, frozen=True, kw_only=True):
    """One archive, job or bundle, and what is decided on it."""

    tenant: TenantSeen
    seen: Seen
    decision: Decision


class RetentionPlan(Struct, frozen=True, kw_only=True):
    """What a run will delete, by tenant: archives, jobs, bundles."""

    now: datetime
    entries: tuple[Entry, ...]
    begun: tuple[tuple[TenantSeen, Mark], ...] = ()
    """Deletions that another run left unfinished, and of which nothing is to be seen any more but their marks."""
    problems: tuple[str, ...] = ()
    """What kept the run from deciding on everything; it then ends with exit 1."""

    @property
    def due(self) -> list[Entry]:
        """What is to be deleted."""
        return [entry for entry in self.entries if isinstance(entry.decision, Delete)]


def plan_retention(  # noqa: PLR0913  (what it is decided on and by)
    tenants: Sequence[TenantSeen],
    now: datetime,
    *,
    max_archives: int,
    skew: timedelta = timedelta(0),
    complete: bool = True,
    problems: Sequence[str] = (),
) -> RetentionPlan:
    """Decide on everything at the cluster's time `now`; at most `max_archives` archives go, the oldest first.

    `skew` is how far the own clock is ahead of the cluster's, `complete` whether all namespaces are known: if either is
    wrong, nothing is deleted.
    """
    trusted = abs(skew) <= CLOCK_TOLERANCE and complete
    archives = {
        (tenant.key, each.key): decide_archive(tenant, each, now) for tenant in tenants for each in tenant.archives
    }
    if not trusted:
        archives = {key: _unless_certain(decision) for key, decision in archives.items()}
    archives = _limited(tenants, archives, max_archives)
    entries: list[Entry] = []
    begun: list[tuple[TenantSeen, Mark]] = []
    for tenant in tenants:
        decided: list[tuple[Seen, Decision]] = [(each, archives[tenant.key, each.key]) for each in tenant.archives]
        decided += _decide_jobs(tenant, archives, now)
        decided += _decide_bundles(tenant, {seen.key: decision for seen, decision in decided}, now)
        entries += [
            Entry(tenant=tenant, seen=seen, decision=decision if trusted else _unless_certain(decision))
            for seen, decision in decided
        ]
        there = {seen.key for seen, _ in decided}
        begun += [(tenant, mark) for mark in tenant.marks if trusted and mark.target.key not in there]
    return RetentionPlan(
        now=now,
        entries=tuple(entries),
        begun=tuple(begun),
        problems=(*_problems(skew, complete=complete), *problems, *_reported(tenants, entries)),
    )


def decide_archive(tenant: TenantSeen, seen: ArchiveSeen, now: datetime) -> Decision:
    """Decide on one archive for its own sake."""
    if seen.unknown or seen.kept_until is None:
        return Keep(seen.unknown or "until when it is kept is not known", problem=True)
    if seen.path in tenant.claimed:
        return Keep("it is being written")
    standing = held(tenant.holds, seen) or _before(seen.kept_until, now) or protected(seen.stored, now)
    if standing is not None:
        return standing
    if tenant.tenant_id is None:
        return _nameless()
    left = "" if seen.has_manifest else ", and it has no manifest"
    return Delete(f"kept until {_day(seen.kept_until)}{left}")


def _decide_jobs(
    tenant: TenantSeen, archives: Mapping[tuple[str, str], Decision], now: datetime
) -> list[tuple[Seen, Decision]]:
    listing: defaultdict[str, list[ArchiveSeen]] = defaultdict(list)
    """The archives that list a job; and by bucket, those of which it is not known which jobs they need."""
    for archive in tenant.archives:
        for name in archive.jobs if archive.jobs is not None else [f"{archive.bucket_id}/"]:
            listing[name].append(archive)

    def decide(job: JobSeen) -> Decision:
        needing = listing.get(job.job_id, []) + listing.get(f"{job.bucket_id}/", [])
        keeping = [each for each in needing if isinstance(archives[tenant.key, each.key], Keep)]
        return _decide_job(tenant, job, needing, keeping, now)

    return [(each, decide(each)) for each in tenant.jobs]


def _decide_job(
    tenant: TenantSeen, seen: JobSeen, needing: Sequence[ArchiveSeen], keeping: Sequence[ArchiveSeen], now: datetime
) -> Decision:
    if seen.unknown or seen.kept_until is None:
        return Keep(seen.unknown or "until when it is kept is not known", problem=True)
    if seen.bucket_id in tenant.buckets:
        return Keep("its bucket has a namespace")
    if keeping:
        return Keep(f"archive {keeping[0].path} needs it")
    standing = held(tenant.holds, seen) or _before(seen.kept_until, now) or protected(seen.stored, now)
    if standing is not None:
        return standing
    if tenant.tenant_id is None:
        return _nameless()
    why = "no archive needs it any more" if needing else "no archive needs it"
    return Delete(f"{why}; kept until {_day(seen.kept_until)}", frozenset(each.key for each in needing))


def _decide_bundles(
    tenant: TenantSeen, decisions: Mapping[str, Decision], now: datetime
) -> list[tuple[Seen, Decision]]:
    users: defaultdict[str | None, list[JobSeen]] = defaultdict(list)
    for job in tenant.jobs:
        users[job.model_bundle_hash].append(job)
    unreadable = next((job for job in tenant.jobs if job.unknown), None)

    def decide(bundle: BundleSeen) -> Decision:
        if unreadable is not None:
            return Keep(f"job {unreadable.job_id} cannot be read, and may need it")
        using = users.get(bundle.model_bundle_hash, [])
        keeping = [job for job in using if isinstance(decisions[job.key], Keep)]
        return _decide_bundle(tenant, bundle, using, keeping, now)

    return [(each, decide(each)) for each in tenant.bundles]


def _decide_bundle(
    tenant: TenantSeen, seen: BundleSeen, using: Sequence[JobSeen], keeping: Sequence[JobSeen], now: datetime
) -> Decision:
    if keeping:
        return Keep(f"job {keeping[0].job_id} needs it")
    if seen.kept_until is None:
        return Keep("when it was stored is not known", problem=True)
    standing = _before(seen.kept_until, now) or protected(seen.stored, now)
    if standing is not None:
        return standing
    if tenant.tenant_id is None:
        return _nameless()
    return Delete("no job needs it any more" if using else "no job needs it", frozenset(each.key for each in using))


def held(holds: Iterable[Hold], seen: ArchiveSeen | JobSeen) -> Keep | None:
    """Find the legal hold that an archive or a job is under."""
    for hold in holds:
        if isinstance(seen, ArchiveSeen):
            covers = hold.covers(seen.path)
        else:
            covers = hold.timestamp is None and hold.bucket_id == seen.bucket_id
        if covers:
            return Keep(f"held by {hold.held_by}: {hold.reason}")
    return None


def _before(kept_until: datetime, now: datetime) -> Keep | None:
    return None if now > kept_until else Keep(f"kept for another {_span(kept_until - now)}")


def protected(stored: Stored, now: datetime) -> Keep | None:
    """Find what the store itself has against a deletion."""
    if stored.legal_hold:
        return Keep("the store has a legal hold on it")
    if stored.locked_until is not None and stored.locked_until >= now:
        return Keep(f"the store has locked it until {_day(stored.locked_until)}")
    return None


def _nameless() -> Keep:
    return Keep("the id of its tenant is written nowhere, so that its deletion cannot be audited", problem=True)


def _unless_certain(decision: Decision) -> Decision:
    if isinstance(decision, Keep):
        return decision
    return Keep(f"{decision.reason}, but not certain in this run")


def _limited(
    tenants: Sequence[TenantSeen], decisions: dict[tuple[str, str], Decision], limit: int
) -> dict[tuple[str, str], Decision]:
    # What was begun is finished first, and then the oldest go.
    due = sorted(
        (each.key not in {mark.target.key for mark in tenant.marks}, each.kept_until, tenant.key, each.key)
        for tenant in tenants
        for each in tenant.archives
        if each.kept_until is not None and isinstance(decisions[tenant.key, each.key], Delete)
    )
    over = {
        (tenant, key): Keep(f"{decisions[tenant, key].reason}, but over the limit of {limit} archives a run")
        for _, _, tenant, key in due[limit:]
    }
    return {**decisions, **over}


def _problems(skew: timedelta, *, complete: bool) -> list[str]:
    problems: list[str] = []
    if abs(skew) > CLOCK_TOLERANCE:
        way = "ahead of" if skew > timedelta(0) else "behind"
        problems.append(
            f"this machine's clock is {describe(abs(skew))} {way} the cluster's: nothing is deleted until they agree"
        )
    if not complete:
        problems.append("the list of namespaces is incomplete: nothing is deleted in this run")
    return problems


def _reported(tenants: Sequence[TenantSeen], entries: Sequence[Entry]) -> list[str]:
    kept = [
        f"tenant {entry.tenant.key}: {entry.seen.target.kind} {entry.seen.target.name} stays: {entry.decision.reason}"
        for entry in entries
        if isinstance(entry.decision, Keep) and entry.decision.problem
    ]
    return [*(f"tenant {tenant.key}: {problem}" for tenant in tenants for problem in tenant.problems), *kept]


def _day(moment: datetime) -> str:
    return format_timestamp(moment)[:10]


def _span(left: timedelta) -> str:
    return f"{left.days} days" if left.days > 1 else describe(left)
