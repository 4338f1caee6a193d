"""`livecalc submit`: run a model in a bucket."""

import time

import click

from livecalc.cli.format import parse_duration
from livecalc.cli.lazy import Command
from livecalc.cli.output import emit, emit_json, json_option, note
from livecalc.cli.session import connected
from livecalc.domain.errors import InvalidInput

EXAMPLE = """
livecalc submit my-model --bucket q4-2025 --wait
livecalc submit 7c1e0b94d2aa --bucket q4-2025 --name rerun --label basis=best-estimate
livecalc submit model.zip --bucket statutory --partitions 4 --deadline 2h
"""


@click.command("submit", cls=Command, example=EXAMPLE)
@click.argument("model")
@click.option("--bucket", required=True, metavar="ID", help="The bucket; its namespace is created when there is none.")
@click.option("--wait", is_flag=True, help="Show progress to the end, then the results.")
@click.option("--name", metavar="TEXT", help="What people call this job.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label; may be given many times.")
@click.option(
    "--partitions", type=click.IntRange(1), metavar="N", help="In how many parts to compute; by default one a slot."
)
@click.option("--deadline", metavar="TIME", help="Stop it after so long, such as 30m or 2h.")
@click.option(
    "--retention",
    type=click.Choice(["standard", "regulatory"]),
    help="How long the archive is kept: 30 days, or 7 years where the store can lock.",
)
@json_option
@click.pass_context
def command(  # noqa: PLR0913  (the options of a submit)
    ctx: click.Context,
    *,
    model: str,
    bucket: str,
    name: str | None,
    labels: tuple[str, ...],
    partitions: int | None,
    deadline: str | None,
    retention: str | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Submit a model to a bucket.

    MODEL is a folder, or a packaged example's name, which is packed first; a bundle file; or the hash of a bundle
    that is there already. Ctrl-C while waiting detaches, and the job goes on.
    """
    from livecalc.cli.model import submittable
    from livecalc.cli.waiting import wait_for

    chosen = parse_labels(labels)
    seconds = None if deadline is None else _read_deadline(deadline)
    start = time.monotonic()
    with connected() as client:
        with submittable(model) as given:
            handle = client.submit(
                given,
                bucket=bucket,
                name=name,
                labels=chosen,
                partitions=partitions,
                deadline_seconds=seconds,
                retention=retention,
            )
        submitted = handle.submitted
        if not wait:
            if as_json:
                emit_json(submitted)
            else:
                emit(f"Job     {submitted.job_id} in {submitted.namespace}")
                note(f"Watch:  livecalc jobs watch {submitted.job_id}")
            return
        note(f"Job     {submitted.job_id} in {submitted.namespace}")
        ctx.exit(wait_for(client, submitted.job_id, as_json=as_json, since=start))


def _read_deadline(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except InvalidInput as error:
        raise InvalidInput(f"--deadline {error.detail}") from None
    if seconds <= 0:
        raise InvalidInput(f"--deadline {text} is not valid: use more than 0s, such as 30m or 2h")
    return seconds


def parse_labels(labels: tuple[str, ...]) -> dict[str, str]:
    """Read `key=value` options."""
    pairs = [label.partition("=") for label in labels]
    for (key, equals, _), label in zip(pairs, labels, strict=True):
        if not (key and equals):
            raise click.BadParameter(f"{label!r} is not KEY=VALUE", param_hint="--label")
    return {key: value for key, _, value in pairs}
