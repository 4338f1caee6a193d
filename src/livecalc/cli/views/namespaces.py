"""Namespaces and what a sweep decides on them, as text."""

from collections.abc import Sequence
from datetime import datetime

from livecalc.cli.format import NONE, age, count, moment, since
from livecalc.cli.tables import facts, table
from livecalc.wire.namespaces import Namespace, SweepEntry

_DECISIONS = (("reap", "to reap"), ("resume", "to resume"), ("stamp", "to stamp"), ("keep", "kept"))


def list_namespaces(namespaces: Sequence[Namespace], now: datetime) -> str:
    """One line for each namespace."""
    rows = [
        [
            each.namespace,
            each.bucket_id,
            _status(each),
            since(each.last_activity, now) if each.last_activity else "unknown",
            str(each.pod_count),
            str(each.pvc_count),
            since(each.created_at, now),
        ]
        for each in namespaces
    ]
    return table(["NAMESPACE", "BUCKET", "STATUS", "IDLE", "PODS", "PVCS", "AGE"], rows, right=["PODS", "PVCS"])


def show_namespace(namespace: Namespace, now: datetime) -> str:
    """One namespace."""
    idle = f", {since(namespace.last_activity, now)} ago" if namespace.last_activity else ""
    seen = moment(namespace.last_activity) if namespace.last_activity else "unknown"
    return facts(
        [
            ("Namespace", namespace.namespace),
            ("Bucket", namespace.bucket_id),
            ("Status", _status(namespace)),
            ("Created", f"{moment(namespace.created_at)}, {since(namespace.created_at, now)} ago"),
            ("Activity", seen + idle),
            ("Content", f"{count(namespace.pod_count, 'pod')}, {count(namespace.pvc_count, 'volume claim')}"),
            ("Retention", namespace.retention),
        ]
    )


def show_plan(entries: Sequence[SweepEntry]) -> str:
    """What a sweep decides on each namespace, and why."""
    rows = [[e.namespace, e.status, _idle(e), str(e.pods), e.decision, e.reason] for e in entries]
    return table(["NAMESPACE", "STATUS", "IDLE", "PODS", "DECISION", "REASON"], rows)


def total_plan(entries: Sequence[SweepEntry]) -> str:
    """Sum a plan up: `6 namespaces: 2 to reap, 1 to resume, 1 to stamp, 2 kept.` (one sentence)."""
    parts = [(sum(entry.decision == decision for entry in entries), words) for decision, words in _DECISIONS]
    found = ", ".join(f"{amount} {words}" for amount, words in parts if amount)
    return f"{count(len(entries), 'namespace')}: {found or 'nothing to do'}."


def _status(namespace: Namespace) -> str:
    return f"{namespace.status} by {namespace.reaped_by}" if namespace.reaped_by else namespace.status


def _idle(entry: SweepEntry) -> str:
    if entry.idle_seconds is not None:
        return age(entry.idle_seconds)
    return NONE if entry.status == "reaping" else "unknown"
