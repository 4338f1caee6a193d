"""A planned sweep's entries as the wire has them. Pure."""

from datetime import datetime

from livecalc.domain.namespaces import Status
from livecalc.lifecycle.plan import Entry
from livecalc.wire.namespaces import SweepEntry


def entry(planned: Entry, now: datetime) -> SweepEntry:
    """One namespace of a plan made at `now`; who is finalized or claimed is no longer idle, but has an age still."""
    record = planned.record
    status = record.status
    last = record.last_activity if status is not Status.REAPING else None
    return SweepEntry(
        namespace=record.name,
        status="terminating" if record.terminating and status is not Status.REAPING else status or "unknown",
        idle_seconds=None if last is None else (now - last).total_seconds(),
        pods=planned.observed.pods or 0,
        decision=type(planned.decision).__name__.lower(),
        reason=planned.decision.reason,
    )
