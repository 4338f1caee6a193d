"""`livecalc token`: a token of the local identity, for `LIVECALC_TOKEN` and `curl`."""

from datetime import timedelta

import click

from livecalc.cli.lazy import Command
from livecalc.cli.output import emit


@click.command(
    "token", cls=Command, example="LIVECALC_TOKEN=$(livecalc token --tenant acme --user ana) livecalc status"
)
@click.option("--tenant", metavar="T", help="The tenant it speaks for; `local` by default.")
@click.option("--user", metavar="U", help="Who holds it; by default you.")
@click.option(
    "--ttl", type=click.IntRange(1), metavar="N", default=3600, show_default=True, help="Seconds until it ends."
)
def command(tenant: str | None, user: str | None, ttl: int) -> None:
    """Print a token of the local identity, and nothing else."""
    from livecalc.bootstrap.service import local_token
    from livecalc.settings import load

    emit(local_token(load(), tenant=tenant, user=user, ttl=timedelta(seconds=ttl)))
