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
    """Turn an age or a day into a timestamp; one that is given as such stays. Raises InvalidInput for all else."""
    try:
        return format_timestamp(now - timedelta(seconds=parse_duration(text)))
    except (InvalidInput, OverflowError):
        pass
    whole = f"{text}T00:00:00Z" if len(text) == len("2026-01-25") else text
    try:
        zone = datetime.fromisoformat(whole).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        raise InvalidInput(
            f"--since {text[:40]!r} is not valid: use an age such as 2h or 7d, a day such as 2026-01-25, "
            "or an RFC 3339 time such as 2026-01-25T00:00:00Z"
        )
    return whole
