"""`livecalc worker`: the process inside a pod."""

import click

from livecalc.cli.lazy import Command


@click.command("worker", cls=Command, example="LIVECALC_GRANTS=https://... JOB_COMPLETION_INDEX=0 livecalc worker")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Compute one partition; started inside a pod.

    Exits 0, 10 (model error), 11 (sentinel violation) or 12 (bad bundle), which are final; after any other end
    the partition is tried again.
    """
    from livecalc.bootstrap.worker import main

    ctx.exit(main())
