"""`livecalc token`: a token of the local identity, for `LIVECALC_TOKEN` and `curl`."""

from datetime import timedelta

import click

from livecalc.cli.format import parse_duration
from livecalc.cli.lazy import Command
from livecalc.cli.output import emit
from livecalc.domain.errors import InvalidInput

_SHORTEST = 1
"""Second: tokens tell time in whole ones."""
_LONGEST = timedelta(days=30)


@click.command(
    "token", cls=Command, example="LIVECALC_TOKEN=$(livecalc token --tenant acme --user ana) livecalc status"
)
@click.option("--tenant", metavar="T", help="The tenant it speaks for; `local` by default.")
@click.option("--user", metavar="U", help="Who holds it; by default you.")
@click.option("--ttl", metavar="TIME", default="1h", show_default=True, help="How long it is good, 30d at most.")
def command(tenant: str | None, user: str | None, ttl: str) -> None:
    """Print a token of the local identity, and nothing else."""
    from livecalc.bootstrap.service import local_token
    from livecalc.settings import load

    emit(local_token(load(), tenant=tenant, user=user, ttl=_read_ttl(ttl)))


def _read_ttl(text: str) -> timedelta:
    try:
        seconds = parse_duration(text)
    except InvalidInput as error:
        raise InvalidInput(f"--ttl {error.detail}") from None
    if not _SHORTEST <= seconds <= _LONGEST.total_seconds():
        raise InvalidInput(f"--ttl {text[:40]} is not valid: use 1s to {_LONGEST.days}d, such as 1h")
    return timedelta(seconds=seconds)
