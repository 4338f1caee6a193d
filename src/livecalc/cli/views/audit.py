"""Audit records as text."""

from collections.abc import Sequence

from livecalc.cli.format import NONE, moment
from livecalc.cli.tables import table
from livecalc.wire.diagnostics import AuditEntry


def list_audit(entries: Sequence[AuditEntry]) -> str:
    """One line for each record, in the order given."""
    rows = [
        [
            str(entry.sequence),
            moment(entry.timestamp),
            entry.user_id,
            entry.operation,
            entry.phase,
            entry.result or NONE,
            entry.bucket_id or NONE,
            _detail(entry),
        ]
        for entry in entries
    ]
    headers = ["SEQ", "TIME", "USER", "OPERATION", "PHASE", "RESULT", "BUCKET", "DETAIL"]
    return table(headers, rows, right=["SEQ"])


def _detail(entry: AuditEntry) -> str:
    return " ".join(f"{key}={str(value)[:24]}" for key, value in sorted(entry.detail.items()))
