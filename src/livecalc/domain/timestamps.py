"""Timestamps as the platform writes them: UTC, RFC 3339, whole seconds, `Z`."""

import re
from datetime import UTC, datetime

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_PATTERN = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
_ARCHIVE = re.compile(r"(\d{8}-\d{6})(?:-[1-9]\d*)?", re.ASCII)


def format_timestamp(moment: datetime) -> str:
    """Write an aware moment as `2026-01-25T01:00:00Z`; fractions of a second are dropped."""
    return moment.astimezone(UTC).strftime(_FORMAT).rjust(20, "0")


def parse_timestamp(text: str) -> datetime | None:
    """Read what `format_timestamp` writes; anything else is None, never a guess."""
    if _PATTERN.fullmatch(text) is None:
        return None
    try:
        # Ten times as fast as strptime, and a sweep reads thousands of these.
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def archive_timestamp(moment: datetime) -> str:
    """Write a moment as an archive's path segment, `20260125-010000`."""
    return moment.astimezone(UTC).strftime("%Y%m%d-%H%M%S").rjust(15, "0")


def parse_archive_timestamp(text: str) -> datetime | None:
    """Read an archive's path segment, `20260125-010000` or `20260125-010000-2`; anything else is None."""
    match = _ARCHIVE.fullmatch(text)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
