"""Decide what has outlived its retention. Pure: the printed plan is the dry run, the `curator` acts on it.

An archive goes when its date is past; a job when no archive that stays needs it; a bundle when nothing that stays does.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from livecalc.lifecycle.plan import CLOCK_TOLERANCE, describe
from livecalc.lifecycle.retention.decision import (
    Decision,
    Delete,
    Keep,
    decide_archive,
    decide_bundle,
    decide_job,
    unseen,
    widened,
)
from livecalc.lifecycle.retention.marks import Mark
from livecalc.lifecycle.retention.seen import ArchiveSeen, BundleSeen, JobSeen, Seen, TenantSeen

Decisions = Mapping[str, Decision]
"""On what was decided on before, by its key."""


class Entry(Struct, frozen=True, kw_only=True):
    """One archive, job or bundle, and what is decided on it."""

    tenant: TenantSeen
    seen: Seen
    decision: Decision

    @property
    def begun(self) -> bool:
        """Whether an earlier run left its deletion unfinished."""
        return any(mark.target.key == self.seen.key for mark in self.tenant.marks)


class Begun(Struct, frozen=True, kw_only=True):
    """A deletion that an earlier run left unfinished, and that no entry asks for."""

    tenant: TenantSeen
    mark: Mark
    kept: str | None
    """Why it is not gone on with; None when nothing is to be seen any more but the mark."""


class RetentionPlan(Struct, frozen=True, kw_only=True):
    """What a run will delete, by tenant: archives, jobs, bundles."""

    now: datetime
    entries: tuple[Entry, ...]
    begun: tuple[Begun, ...] = ()
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
    max_deletions: int,
    skew: timedelta = timedelta(0),
    complete: bool = True,
    problems: Sequence[str] = (),
) -> RetentionPlan:
    """Decide on everything at the cluster's time `now`.

    At most `max_deletions` archives go, as many jobs and as many bundles, the oldest first. `skew` is how far the own
    clock is ahead of the cluster's, `complete` whether all namespaces are known: if either is wrong, nothing goes.
    """
    trusted = abs(skew) <= CLOCK_TOLERANCE and complete
    seen = [msgspec.structs.replace(each, holds=widened(each.holds, each.archives)) for each in tenants]
    entries: dict[str, list[Entry]] = {tenant.key: [] for tenant in seen}
    for decide in (_decide_archives, _decide_jobs, _decide_bundles):
        found: list[Entry] = []
        for tenant in seen:
            before = {entry.seen.key: entry.decision for entry in entries[tenant.key]}
            found += [
                Entry(tenant=tenant, seen=each, decision=decision if trusted else _unless_certain(decision))
                for each, decision in decide(tenant, before, now)
            ]
        for entry in _limited(found, max_deletions):
            entries[entry.tenant.key].append(entry)
    planned = [entry for own in entries.values() for entry in own]
    return RetentionPlan(
        now=now,
        entries=tuple(planned),
        begun=tuple(_begun(seen, planned)) if trusted else (),
        problems=(*_problems(skew, complete=complete), *problems, *_reported(tenants, planned)),
    )


def _decide_archives(tenant: TenantSeen, _: Decisions, now: datetime) -> list[tuple[Seen, Decision]]:
    return [(each, decide_archive(tenant, each, now)) for each in tenant.archives]


def _decide_jobs(tenant: TenantSeen, decisions: Decisions, now: datetime) -> list[tuple[Seen, Decision]]:
    listing: defaultdict[str, list[ArchiveSeen]] = defaultdict(list)
    """The archives that list a job; and by bucket, those of which it is not known which jobs they need."""
    for archive in tenant.archives:
        for name in archive.jobs if archive.jobs is not None else [f"{archive.bucket_id}/"]:
            listing[name].append(archive)

    def decide(job: JobSeen) -> Decision:
        needing = listing.get(job.job_id, []) + listing.get(f"{job.bucket_id}/", [])
        keeping = [each for each in needing if isinstance(decisions[each.key], Keep)]
        return decide_job(tenant, job, needing, keeping, now)

    return [(each, decide(each)) for each in tenant.jobs]


def _decide_bundles(tenant: TenantSeen, decisions: Decisions, now: datetime) -> list[tuple[Seen, Decision]]:
    users: defaultdict[str, list[ArchiveSeen | JobSeen]] = defaultdict(list)
    for job in tenant.jobs:
        users[job.model_bundle_hash or ""].append(job)
    for archive in tenant.archives:
        for model_bundle_hash in archive.bundles:
            users[model_bundle_hash].append(archive)
    unreadable = [job for job in users.get("", []) if isinstance(decisions[job.key], Keep)]

    def decide(bundle: BundleSeen) -> Decision:
        needing = users.get(bundle.model_bundle_hash, [])
        keeping = [each for each in needing if isinstance(decisions[each.key], Keep)]
        if unreadable and not keeping:
            return Keep(f"job {unreadable[0].target.name} cannot be read, and may need it")
        return decide_bundle(tenant, bundle, needing, keeping, now)

    return [(each, decide(each)) for each in tenant.bundles]


def _unless_certain(decision: Decision) -> Decision:
    if isinstance(decision, Keep):
        return decision
    return Keep(f"{decision.reason}, but not certain in this run")


def _limited(entries: Sequence[Entry], limit: int) -> list[Entry]:
    """Let the oldest go, up to a limit; what was begun is finished in any case, and counts."""
    due = [entry for entry in entries if isinstance(entry.decision, Delete)]
    due.sort(key=lambda each: (not each.begun, each.seen.kept_until, each.tenant.key, each.seen.key))
    over = {(entry.tenant.key, entry.seen.key) for entry in due[limit:] if not entry.begun}
    return [_over(entry, limit) if (entry.tenant.key, entry.seen.key) in over else entry for entry in entries]


def _over(entry: Entry, limit: int) -> Entry:
    reason = f"{entry.decision.reason}, but over the limit of {limit} {entry.seen.target.kind}s a run"
    return msgspec.structs.replace(entry, decision=Keep(reason))


def _begun(tenants: Sequence[TenantSeen], entries: Sequence[Entry]) -> list[Begun]:
    decided = {(entry.tenant.key, entry.seen.key): entry.decision for entry in entries}
    found: list[Begun] = []
    for tenant in tenants:
        for mark in tenant.marks:
            decision = decided.get((tenant.key, mark.target.key))
            if not isinstance(decision, Delete):
                found.append(Begun(tenant=tenant, mark=mark, kept=None if decision is None else decision.reason))
    return found


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
    said = [(tenant, problem) for tenant in tenants for problem in tenant.problems]
    for tenant in tenants:
        for hold in unseen(tenant.holds, tenant.archives):
            path = f"{hold.bucket_id}/{hold.timestamp}"
            then = f"all of its bucket stays until `livecalc retention release {path}`"
            said.append((tenant, f"archive {path} is held and not there: look why; {then}"))
    kept = [
        (entry.tenant, f"{entry.seen.target.kind} {entry.seen.target.name} stays: {entry.decision.reason}")
        for entry in entries
        if isinstance(entry.decision, Keep) and entry.decision.problem
    ]
    return [f"tenant {tenant.key}: {sentence}" for tenant, sentence in (*said, *kept)]
