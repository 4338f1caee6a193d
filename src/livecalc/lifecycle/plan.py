"""Decide what a sweep does with each namespace. Pure: the printed plan is the dry run, `Reaper.execute` acts on it.

Eligible is what is finalized, idle, or claimed; unknown is not idle, busy is not idle, and what is not ours stays.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from livecalc.domain.claims import Claim, read_claim
from livecalc.domain.namespaces import FINALIZED_AT, LABELS, NamespaceRecord, Status, why_not_ours
from livecalc.domain.timestamps import parse_timestamp

CLOCK_TOLERANCE = timedelta(minutes=5)


class SweepPolicy(Struct, frozen=True, kw_only=True):
    """What a sweep goes by."""

    idle_limit: timedelta = timedelta(hours=24)
    max_reaps: int = 500
    """The most namespaces that one sweep deletes."""


class Observed(Struct, frozen=True, kw_only=True):
    """A namespace and its pods; None for pods that nobody looked at, which is not the same as none."""

    record: NamespaceRecord
    pods: int | None = None
    """All pods."""
    busy: int | None = None
    """The pods of our jobs that are alive; foreign pods keep nothing alive."""


class Keep(Struct, frozen=True, tag=True):
    """Leave it alone."""

    reason: str
    foreign: str | None = None
    """In what it differs from what we make; None when it is ours."""


class Stamp(Struct, frozen=True, tag=True):
    """Set its last activity to now: when it was last used is unknown, so its timer starts again."""

    reason: str


class Resume(Struct, frozen=True, tag=True):
    """Go on where another reaper stopped, unless that one is still alive."""

    reason: str
    claim: Claim


class Reap(Struct, frozen=True, tag=True):
    """Claim, archive, delete, verify."""

    reason: str


Decision = Keep | Stamp | Resume | Reap


class Entry(Struct, frozen=True, kw_only=True):
    """One namespace and what is decided on it."""

    observed: Observed
    decision: Decision

    @property
    def record(self) -> NamespaceRecord:
        """The namespace as it was when it was decided on."""
        return self.observed.record


class SweepPlan(Struct, frozen=True, kw_only=True):
    """What a sweep will do, in the order of names."""

    now: datetime
    entries: tuple[Entry, ...]
    problems: tuple[str, ...] = ()
    """What kept the sweep from deciding on everything; it then ends with exit 1."""
    notices: tuple[str, ...] = ()
    """What people should look after: namespaces that are not quite ours, deletions that are not ours."""

    @property
    def eligible(self) -> list[Entry]:
        """What is to be resumed or reaped."""
        return [entry for entry in self.entries if isinstance(entry.decision, Resume | Reap)]


def plan_sweep(
    namespaces: Sequence[Observed],
    now: datetime,
    policy: SweepPolicy,
    *,
    skew: timedelta = timedelta(0),
    complete: bool = True,
) -> SweepPlan:
    """Decide on each namespace at the cluster's time `now`.

    `skew` is how far the own clock is ahead of the cluster's, `complete` whether the list is the whole. If either is
    wrong, nothing idle is reaped; and with clocks apart nothing is stamped, as it would be judged by that stamp later.
    """
    clocks_agree = abs(skew) <= CLOCK_TOLERANCE
    decisions = [
        _decide(each, now, policy, clocks_agree=clocks_agree, trusted=clocks_agree and complete) for each in namespaces
    ]
    kept_back = _over_the_limit(namespaces, decisions, policy.max_reaps)
    for index in kept_back:
        decisions[index] = Keep(f"{decisions[index].reason}, but over the limit of {policy.max_reaps} reaps a sweep")
    entries = tuple(
        Entry(observed=each, decision=decision) for each, decision in zip(namespaces, decisions, strict=True)
    )
    return SweepPlan(now=now, entries=entries, problems=_problems(skew, complete=complete), notices=_notices(entries))


def may_be_idle(record: NamespaceRecord, now: datetime, policy: SweepPolicy) -> bool:
    """Tell whether only its pods can say if a namespace is to be reaped."""
    last = record.last_activity
    return (
        last is not None
        and now - last > policy.idle_limit
        and record.status is not Status.FINALIZED
        and not record.terminating
        and read_claim(record) is None
        and why_not_ours(record) is None
    )


def _decide(observed: Observed, now: datetime, policy: SweepPolicy, *, clocks_agree: bool, trusted: bool) -> Decision:
    record = observed.record
    foreign = why_not_ours(record)
    if foreign is not None:
        return Keep(f"not ours: {foreign}", foreign)
    claim = read_claim(record)
    if claim is not None:
        return Resume(_who_claimed(claim, now), claim)
    if record.terminating:
        return Keep("deleted by someone else, without an archive")
    if record.status is Status.FINALIZED:
        return Reap("finalized")
    last = record.last_activity
    if last is None or last - now > CLOCK_TOLERANCE:
        unknown = _why_unknown(record, last, now)
        return Stamp(unknown) if clocks_agree else Keep(f"{unknown}; the clocks disagree")
    return _decide_on_idle(observed, now - last, policy, trusted=trusted)


def _decide_on_idle(observed: Observed, idle: timedelta, policy: SweepPolicy, *, trusted: bool) -> Decision:
    if observed.busy:
        return Keep(f"{observed.busy} {'pod' if observed.busy == 1 else 'pods'} running")
    if idle <= policy.idle_limit:
        return Keep(f"idle; reap in {describe(policy.idle_limit - max(idle, timedelta(0)))}")
    reason = f"idle > {describe(policy.idle_limit, whole=True)}"
    if observed.busy is None:
        return Keep(f"{reason}, but its pods were not seen")
    return Reap(reason) if trusted else Keep(f"{reason}, but not certain in this sweep")


def _over_the_limit(namespaces: Sequence[Observed], decisions: Sequence[Decision], limit: int) -> list[int]:
    # Claims are continued in any case: they were counted by the sweep that made them, and some only wait to be gone.
    resumed = sum(
        isinstance(decision, Resume) and not each.record.terminating
        for each, decision in zip(namespaces, decisions, strict=True)
    )
    reaped = [index for index, decision in enumerate(decisions) if isinstance(decision, Reap)]
    reaped.sort(key=lambda index: _waiting_since(namespaces[index].record))
    return reaped[max(0, limit - resumed) :]


def _waiting_since(record: NamespaceRecord) -> datetime:
    finalized_at = parse_timestamp(record.annotations.get(FINALIZED_AT, ""))
    return finalized_at or record.last_activity or record.created_at


def _who_claimed(claim: Claim, now: datetime) -> str:
    holder = claim.holder or "a reaper that gave it back"
    return f"started by {holder} {describe(now - claim.started_at)} ago" if claim.started_at else f"started by {holder}"


def _why_unknown(record: NamespaceRecord, last: datetime | None, now: datetime) -> str:
    if last is not None:
        return f"last-activity is {describe(last - now)} ahead"
    return "last-activity unreadable" if "last-activity" in record.annotations else "last-activity missing"


def _problems(skew: timedelta, *, complete: bool) -> tuple[str, ...]:
    problems: list[str] = []
    if abs(skew) > CLOCK_TOLERANCE:
        way = "ahead of" if skew > timedelta(0) else "behind"
        problems.append(
            f"this machine's clock is {describe(abs(skew))} {way} the cluster's: "
            "nothing idle is reaped until they agree"
        )
    if not complete:
        problems.append("the list of namespaces is incomplete: nothing idle is reaped in this sweep")
    return tuple(problems)


def _notices(entries: Sequence[Entry]) -> tuple[str, ...]:
    notices: list[str] = []
    for entry in entries:
        decision = entry.decision
        if not isinstance(decision, Keep):
            continue
        record = entry.observed.record
        foreign = decision.foreign
        if foreign is not None:
            if all(record.labels.get(key) == value for key, value in LABELS.items()):
                notices.append(f"namespace {record.name} is left alone: {foreign}")
        elif record.terminating:
            held = "; ".join(record.blockers) or "the cluster is still at it"
            notices.append(f"namespace {record.name} was deleted by someone else, without an archive: {held}")
        elif record.status is None:
            notices.append(f"namespace {record.name} takes no work: its status annotation is unreadable")
    return tuple(notices)


def describe(span: timedelta, *, whole: bool = False) -> str:
    """Write a span as `22h58m`, `6m` or `45s`; a `whole` one without minutes when it has none (`24h`)."""
    seconds = max(0, int(span.total_seconds()))
    hours, minutes = divmod(seconds // 60, 60)
    if hours:
        return f"{hours}h" if whole and not minutes else f"{hours}h{minutes:02}m"
    return f"{minutes}m" if minutes else f"{seconds}s"
