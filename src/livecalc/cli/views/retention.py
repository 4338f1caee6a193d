"""What retention decides and did, and what is held, as the wire has it and as text. Pure."""

from collections.abc import Sequence

from livecalc.cli.format import NONE, count, day, moment, short, size
from livecalc.cli.tables import table
from livecalc.domain.timestamps import format_timestamp
from livecalc.lifecycle.retention.plan import Begun, Entry
from livecalc.lifecycle.retention.report import Outcome, Result, RetentionReport
from livecalc.wire.retention import Hold, RetentionBegun, RetentionEntry, RetentionOutcome

_RESULTS: tuple[tuple[Result, str], ...] = (
    ("deleted", "deleted"),
    ("kept", "kept after all"),
    ("waiting", "left for a later run"),
    ("elsewhere", "in the hands of another run"),
    ("failed", "failed"),
)


def entry(planned: Entry) -> RetentionEntry:
    """One line of a plan."""
    seen, target = planned.seen, planned.seen.target
    return RetentionEntry(
        kind=target.kind,
        tenant=planned.tenant.key,
        name=target.name,
        bucket_id=target.bucket_id or None,
        kept_until=format_timestamp(seen.kept_until),
        blobs=seen.stored.blobs,
        bytes=seen.stored.bytes,
        decision=type(planned.decision).__name__.lower(),
        reason=planned.decision.reason,
    )


def begun(left: Begun) -> RetentionBegun:
    """One deletion that was cut off."""
    target = left.mark.target
    return RetentionBegun(
        kind=target.kind,
        tenant=left.tenant.key,
        name=target.name,
        bucket_id=target.bucket_id or None,
        begun_at=left.mark.started_at,
        kept=left.kept,
    )


def outcome(done: Outcome) -> RetentionOutcome:
    """One line of a report."""
    return RetentionOutcome(
        kind=done.target.kind,
        tenant=done.tenant,
        name=done.target.name,
        result=done.result,
        message=done.message,
        blobs=done.blobs,
        bytes=done.bytes,
    )


def show_plan(entries: Sequence[RetentionEntry]) -> str:
    """What a run decides on each archive, job and bundle, and why; what goes comes first."""
    rows = [
        [
            each.kind,
            each.tenant,
            _name(each.kind, each.name),
            (each.bucket_id if each.kind == "job" else None) or NONE,
            day(each.kept_until),
            size(each.bytes),
            each.decision,
            each.reason,
        ]
        for each in sorted(entries, key=lambda each: each.decision != "delete")
    ]
    headers = ["WHAT", "TENANT", "NAME", "BUCKET", "KEPT UNTIL", "SIZE", "DECISION", "REASON"]
    return table(headers, rows, right=["SIZE"])


def total_plan(entries: Sequence[RetentionEntry]) -> str:
    """Sum a plan up in one sentence."""
    due = [each for each in entries if each.decision == "delete"]
    if not due:
        return f"Nothing to delete: {_counted(entries)} kept."
    return f"To delete: {_counted(due)}, {size(sum(each.bytes for each in due))}; {len(entries) - len(due)} kept."


def count_plan(entries: Sequence[RetentionEntry]) -> dict[str, int]:
    """Sum a plan up in numbers; `bytes` are those of what goes."""
    due = [each for each in entries if each.decision == "delete"]
    return {"delete": len(due), "keep": len(entries) - len(due), "bytes": sum(each.bytes for each in due)}


def show_report(outcomes: Sequence[RetentionOutcome]) -> str:
    """What became of each planned deletion."""
    rows = [
        [each.kind, each.tenant, _name(each.kind, each.name), size(each.bytes), each.result, each.message]
        for each in outcomes
    ]
    return table(["WHAT", "TENANT", "NAME", "SIZE", "RESULT", "REASON"], rows, right=["SIZE"])


def total_report(report: RetentionReport) -> str:
    """Sum a run up in one sentence."""
    parts = [(report.count(result), words) for result, words in _RESULTS]
    found = ", ".join(f"{amount} {words}" for amount, words in parts if amount)
    return f"Retention: {found}; {size(report.bytes)} freed." if found else "Retention: nothing to do."


def count_report(report: RetentionReport) -> dict[str, int]:
    """Sum a run up in numbers; `bytes` are those of what went."""
    return {**{result: report.count(result) for result, _ in _RESULTS}, "bytes": report.bytes}


def show_holds(holds: Sequence[Hold]) -> str:
    """One line for each hold."""
    rows = [
        [each.bucket_id, each.timestamp or "all", each.held_by, moment(each.held_at), each.reason] for each in holds
    ]
    return table(["BUCKET", "ARCHIVE", "BY", "SINCE", "REASON"], rows)


def _name(kind: str, name: str) -> str:
    return short(name) if kind == "bundle" else name


def _counted(entries: Sequence[RetentionEntry]) -> str:
    parts = [(sum(each.kind == kind for each in entries), kind) for kind in ("archive", "job", "bundle")]
    return ", ".join(count(amount, kind) for amount, kind in parts if amount) or "no archive, job or bundle"
