"""`livecalc serve`: the HTTP API of this machine's platform."""

import asyncio
from typing import TYPE_CHECKING

import click

from livecalc.cli.lazy import Command
from livecalc.cli.output import note

if TYPE_CHECKING:
    from livecalc.settings import Settings


@click.command("serve", cls=Command, example="livecalc serve --host 127.0.0.1 --port 8080")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen on this address.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=8080,
    show_default=True,
    help="And this port; 0 takes a free one.",
)
def command(host: str, port: int) -> None:
    """Run the HTTP API, and a sweep every 5 minutes.

    Ctrl-C or SIGTERM stops it when the requests that run have ended. Its documentation is at /docs.
    """
    from livecalc.settings import load
    from livecalc.telemetry.logs import configure_logs

    settings = load()
    configure_logs(level=settings.logs.level, format=settings.logs.format)
    asyncio.run(_serve(settings, host, port))


async def _serve(settings: "Settings", host: str, port: int) -> None:
    from livecalc.api.serve import serve
    from livecalc.bootstrap.service import open_platform

    note(f"Target: {settings.own_target}")
    async with open_platform(settings) as platform:
        await serve(platform, host, port, announce=note)
