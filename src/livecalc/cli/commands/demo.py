"""`livecalc demo`: the whole life of a bucket, explained as it runs."""

import os
import secrets

import click

from livecalc.cli.lazy import Command
from livecalc.cli.output import emit_json, json_option
from livecalc.cli.session import connected

EXAMPLE = """
livecalc demo
livecalc demo --json
"""
_CHECK_FAILED = 3
_PASSES = "LIVECALC_HOME_PASSES"
"""Set by who takes the home and the store away when the command has ended: `tools/blobstore.py run`."""


@click.command("demo", cls=Command, example=EXAMPLE)
@json_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Show the whole life of a bucket on this machine.

    A model is packed, submitted, computed by workers in a namespace of its own, finalized, archived, deleted, and
    recomputed from its hash to the same result. With LIVECALC_URL it happens on that server. Ctrl-C leaves nothing
    running. Exits 3 when a check on the way did not hold.
    """
    from livecalc.cli.demo.narrator import Narrator
    from livecalc.cli.demo.platform import DemoPlatform
    from livecalc.cli.demo.story import STEPS, Story
    from livecalc.settings import load

    with connected() as client:
        platform = DemoPlatform(client=client, settings=load())
        bucket_id = f"demo-{secrets.token_hex(3)}"
        story = Story(platform, Narrator(STEPS, silent=as_json), bucket_id, stays=_PASSES not in os.environ)
        figures = story.tell()
    if as_json:
        emit_json(figures)
    if not story.holds:
        ctx.exit(_CHECK_FAILED)
