"""`--since`: a moment as people write it."""

from datetime import datetime, timedelta

import click

from livecalc.cli.format import parse_duration, utc_now
from livecalc.domain.errors import InvalidInput
from livecalc.domain.timestamps import format_timestamp


def _since(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    return read_since(text, utc_now()) if text else None


since_option = click.option(
    "--since",
    metavar="TIME",
    callback=_since,
    help="Only those from then on: an age such as 2h or 7d, a day, or 2026-01-25T00:00:00Z.",
)


def read_since(text: str, now: datetime) -> str:
    """Turn an age or a day into a timestamp; what is neither is left for the platform to judge."""
    if len(text) == len("2026-01-25") and text.count("-") == 2:  # noqa: PLR2004  (a day has two dashes)
        return f"{text}T00:00:00Z"
    try:
        return format_timestamp(now - timedelta(seconds=parse_duration(text)))
    except (InvalidInput, OverflowError):
        return text
