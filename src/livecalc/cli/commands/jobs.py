"""`livecalc jobs`: look at jobs, follow them, read what they computed, stop them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livecalc.cli.format import utc_now
from livecalc.cli.lazy import Group
from livecalc.cli.output import emit, emit_json, emit_list, json_option, note
from livecalc.cli.session import connected
from livecalc.cli.times import since_option

if TYPE_CHECKING:
    from livecalc.client import Client
    from livecalc.wire.diagnostics import Archive
    from livecalc.wire.jobs import Job

EXAMPLE = """
livecalc jobs list --bucket q4-2025
livecalc jobs show j-01jdx4m8
livecalc jobs result j-01jdx4m8 --format csv -o npv.csv
"""
_STATES = ["pending", "running", "succeeded", "failed", "cancelled"]
_FORMS = ["table", "csv", "parquet", "arrow"]
_ARROW_FILES = (".arrow", ".feather")
_job = click.argument("job")


@click.group("jobs", cls=Group, example=EXAMPLE)
def command() -> None:
    """List, watch and read jobs.

    JOB is a job's id, or any unambiguous beginning of it with 8 characters or more.
    """


@command.command("list", example="livecalc jobs list --bucket q4-2025 --state failed")
@click.option("--bucket", metavar="ID", help="Only this bucket's jobs.")
@click.option("--state", type=click.Choice(_STATES), help="Only jobs in this state.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Only jobs with this label.")
@since_option
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", default=100, show_default=True, help="At most so many jobs."
)
@json_option
def list_command(  # noqa: PLR0913  (the filters of a list)
    *, bucket: str | None, state: str | None, labels: tuple[str, ...], since: str | None, limit: int, as_json: bool
) -> None:
    """List jobs, newest first, also those whose namespace is gone."""
    from livecalc.cli.commands.submit import parse_labels
    from livecalc.cli.views.jobs import list_jobs

    chosen = parse_labels(labels)
    with connected() as client:
        jobs = client.jobs(bucket_id=bucket, state=state, labels=chosen, since=since, limit=limit)
    if as_json:
        emit_json(jobs)
    else:
        what = "jobs of that kind" if state or labels else "jobs"
        emit_list(jobs, list_jobs(jobs, utc_now()), what, bucket=bucket, since=since)


@command.command("show", example="livecalc jobs show j-01jdx4m8")
@_job
@json_option
def show_command(job: str, *, as_json: bool) -> None:
    """Show all about one job, for someone who was not there."""
    from livecalc.cli.views.jobs import show_job

    with connected() as client:
        found = client.job(client.resolve_job(job))
        archive = _archive(client, found)
    if as_json:
        emit_json(found)
    else:
        emit(show_job(found, archive))


@command.command("watch", example="livecalc jobs watch j-01jdx4m8")
@_job
@json_option
@click.pass_context
def watch_command(ctx: click.Context, job: str, *, as_json: bool) -> None:
    """Show a job's progress to its end, then its results. Ctrl-C detaches; the job goes on."""
    from livecalc.cli.waiting import wait_for

    with connected() as client:
        ctx.exit(wait_for(client, client.resolve_job(job), as_json=as_json))


@command.command("logs", example="livecalc jobs logs j-01jdx4m8 --follow")
@_job
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended, with all workers at once.")
def logs_command(job: str, *, follow: bool) -> None:
    """Print what a job's workers print, or printed before their namespace went."""
    with connected() as client:
        for chunk in client.logs(client.resolve_job(job), follow=follow):
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()


@command.command("result", example=EXAMPLE.strip().splitlines()[-1])
@_job
@click.option("--format", "form", type=click.Choice(_FORMS), help="By default as -o ends, else a summary as a table.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@json_option
def result_command(job: str, form: str | None, output: Path | None, *, as_json: bool) -> None:
    """Print a job's result: a summary of each output, or every value of every scenario.

    The table, and --json, are the summary; csv, parquet and arrow have a column for the scenario and one for each
    output. A file called .arrow or .feather has the Arrow file format; standard output the stream.
    """
    from livecalc.cli.files import save_arrow_file, save_stream
    from livecalc.cli.views.jobs import summary

    form = form or _form_of(output)
    if form == "table":
        if output is not None:
            raise click.UsageError("a table is not written to a file: use --format csv, parquet or arrow")
        with connected() as client:
            result = client.result(client.resolve_job(job))
        if as_json:
            emit_json(result)
        else:
            emit(summary(result, whole=True))
        return
    if as_json:
        raise click.UsageError(f"--json is the summary: leave it out, or --format {form}")
    if form != "csv" and output is None and sys.stdout.isatty():
        raise click.UsageError(f"{form} is not for a terminal: give a file with -o")
    with connected() as client:
        chunks = client.download_result(client.resolve_job(job), form)
        if form == "arrow" and output is not None and output.suffix in _ARROW_FILES:
            save_arrow_file(chunks, output)
        else:
            save_stream(chunks, output)


@command.command("cancel", example="livecalc jobs cancel j-01jdx4m8")
@_job
@json_option
def cancel_command(job: str, *, as_json: bool) -> None:
    """Stop a job; one that has ended stays as it is."""
    with connected() as client:
        cancelled = client.cancel(client.resolve_job(job))
    if as_json:
        emit_json(cancelled)
    else:
        emit(f"Job {cancelled.job_id} is {cancelled.state}")
    if cancelled.state not in {"cancelled", "running", "pending"}:
        note("It had ended before.")


def _archive(client: "Client", job: "Job") -> "Archive | None":
    if job.archive is None:
        return None
    bucket, _, timestamp = job.archive.rpartition("/")
    return next((each for each in client.archives(bucket) if each.timestamp == timestamp), None)


def _form_of(output: Path | None) -> str:
    if output is None:
        return "table"
    if output.suffix in _ARROW_FILES:
        return "arrow"
    suffix = output.suffix.removeprefix(".")
    if suffix not in _FORMS[1:]:
        raise click.UsageError(f"{output} does not say its format: end it in .csv, .parquet or .arrow, or use --format")
    return suffix
