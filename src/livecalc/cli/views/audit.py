"""Audit records as text."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from livecalc.cli.format import NONE, moment, short
from livecalc.cli.tables import table
from livecalc.wire.diagnostics import AuditEntry

_HASH = re.compile(r"[0-9a-f]{32,}", re.ASCII)
_OK = "ok"


def list_audit(entries: Sequence[AuditEntry]) -> str:
    """One line for each record, in the order given; why something failed comes first in its details."""
    rows = [
        [
            str(entry.sequence),
            moment(entry.timestamp),
            entry.user_id,
            entry.operation,
            entry.phase,
            _OK if entry.result == _OK else "failed" if entry.result else NONE,
            entry.bucket_id or NONE,
            _detail(entry) or NONE,
        ]
        for entry in entries
    ]
    headers = ["SEQ", "TIME", "USER", "OPERATION", "PHASE", "RESULT", "BUCKET", "DETAIL"]
    return table(headers, rows, right=["SEQ"])


def _detail(entry: AuditEntry) -> str:
    why = [entry.result] if entry.result and entry.result != _OK else []
    return "; ".join([*why, *_pairs(entry.detail)])


def _pairs(values: Mapping[str, Any]) -> list[str]:
    """What is nothing is left out."""
    return [f"{key}={_value(value)}" for key, value in sorted(values.items()) if value not in (None, "", [], {})]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(_value, cast("list[Any]", value)))
    if isinstance(value, dict):
        return ", ".join(_pairs(cast("dict[str, Any]", value)))
    return short(value) if _HASH.fullmatch(str(value)) else str(value)
