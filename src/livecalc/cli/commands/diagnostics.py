"""`livecalc diagnostics`: the archives that reaped buckets leave."""

from pathlib import Path

import click

from livecalc.cli.lazy import Group
from livecalc.cli.output import bad, emit, emit_json, good, json_option, note
from livecalc.cli.session import connected

EXAMPLE = """
livecalc diagnostics list q4-2025
livecalc diagnostics show q4-2025
livecalc diagnostics download q4-2025/20260126-010504 -o archive
"""
_CHECK_FAILED = 3
_archive = click.argument("archive", metavar="BUCKET[/TIMESTAMP]")


@click.group("diagnostics", cls=Group, example=EXAMPLE)
def command() -> None:
    """Read and verify the archives of buckets.

    A bucket's archive holds its logs, violations, events and pod states, and a manifest that says what is there,
    what is not, and why. Without TIMESTAMP the newest archive of the bucket is meant.
    """


@command.command("list", example="livecalc diagnostics list q4-2025")
@click.argument("bucket", required=False)
@json_option
def list_command(bucket: str | None, *, as_json: bool) -> None:
    """List the archives of a bucket, or of all, the newest of a bucket last."""
    from livecalc.cli.views.archives import list_archives

    with connected() as client:
        archives = client.archives(bucket)
    if as_json:
        emit_json(archives)
    else:
        emit(list_archives(archives))


@command.command("show", example="livecalc diagnostics show q4-2025")
@_archive
@json_option
def show_command(archive: str, *, as_json: bool) -> None:
    """Show all about one archive, for someone who was not there."""
    from livecalc.cli.archive import find, outline

    with connected() as client:
        found = find(client, archive)
        if as_json:
            emit_json(found.manifest)
        else:
            emit(outline(client, found))
            emit(f"Full hashes: --json   Fetch: livecalc diagnostics download {found.path}")


@command.command("cat", example="livecalc diagnostics cat q4-2025/20260126-010504/logs/j-01jdx4m8k3q7-0-x7k2p.log")
@click.argument("path", metavar="BUCKET/TIMESTAMP/PATH")
def cat_command(path: str) -> None:
    """Print one blob of an archive."""
    from livecalc.cli.files import save_stream

    with connected() as client:
        save_stream(client.blob(path), None)


@command.command("download", example="livecalc diagnostics download q4-2025 -o archive")
@_archive
@click.option(
    "--output",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder; by default as the archive is called.",
)
@json_option
def download_command(archive: str, output: Path | None, *, as_json: bool) -> None:
    """Fetch every blob of an archive into a folder, each checked against the manifest.

    What is there and as the manifest says is not fetched again.
    """
    from livecalc.cli.archive import fetch, find

    with connected() as client:
        found = find(client, archive)
        target = output or Path(found.path.replace("/", "-"))
        report = fetch(client, found, target)
    if as_json:
        emit_json(report)
    else:
        emit(f"{target}/: {report['blobs']} blobs, {report['fetched']} fetched")


@command.command("verify", example="livecalc diagnostics verify q4-2025")
@_archive
@json_option
@click.pass_context
def verify_command(ctx: click.Context, archive: str, *, as_json: bool) -> None:
    """Check every blob of an archive against its manifest.

    Exits 3 when one is missing or not what the manifest says.
    """
    from livecalc.cli.archive import find
    from livecalc.cli.views.archives import verdict

    with connected() as client:
        found = find(client, archive)
        verification = client.verify_archive(found.bucket_id, found.timestamp)
    if as_json:
        emit_json(verification)
    else:
        emit((good if verification.holds else bad)(verdict(verification)))
        for difference in verification.differences:
            note(f"  {difference}")
    if not verification.holds:
        ctx.exit(_CHECK_FAILED)
