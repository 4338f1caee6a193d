"""`livecalc diagnostics`: the archives that reaped buckets leave."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from livecalc.cli.checks import CHECK_FAILED, a_check
from livecalc.cli.lazy import Group
from livecalc.cli.output import bad, emit, emit_json, good, json_option, note
from livecalc.cli.session import connected

if TYPE_CHECKING:
    from livecalc.cli.archive import Found

EXAMPLE = """
livecalc diagnostics list q4-2025
livecalc diagnostics show q4-2025
livecalc diagnostics download q4-2025/20260126-010504 -o archive
"""
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
@click.pass_context
def show_command(ctx: click.Context, archive: str, *, as_json: bool) -> None:
    """Show all about one archive, for someone who was not there.

    Exits 3 when it is not what its manifest says.
    """
    from livecalc.cli.archive import check, find, outline

    with connected() as client, a_check():
        found = find(client, archive)
        verification = check(client, found)
        if as_json:
            emit_json(found.manifest)
        else:
            emit(outline(client, found, verification))
            emit(f"Full hashes: --json   Fetch: livecalc diagnostics download {found.path}")
            emit(_how_to_print(found))
    if verification is not None and not verification.holds:
        note(bad(f"{verification.differences[0]}: see livecalc diagnostics verify {found.path}"))
        ctx.exit(CHECK_FAILED)


@command.command("cat", example="livecalc diagnostics cat q4-2025/20260126-010504/logs/j-01jdx4m8k3q7-0-x7k2p.log")
@click.argument("path", metavar="BUCKET[/TIMESTAMP]/PATH")
def cat_command(path: str) -> None:
    """Print one blob of an archive."""
    from livecalc.cli.archive import newest
    from livecalc.cli.files import save_stream

    bucket, timestamp, name = _split(path)
    with connected() as client, a_check():
        save_stream(client.blob(f"{bucket}/{timestamp or newest(client, bucket)}/{name}"), None)


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

    What is there and as the manifest says is not fetched again. Exits 3 when a blob is not as the manifest says.
    """
    from livecalc.cli.archive import fetch, find

    with connected() as client, a_check():
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

    with connected() as client, a_check():
        found = find(client, archive)
        verification = client.verify_archive(found.bucket_id, found.timestamp)
    if as_json:
        emit_json(verification)
    else:
        emit((good if verification.holds else bad)(verdict(verification)))
        for difference in verification.differences:
            note(f"  {difference}")
    if not verification.holds:
        ctx.exit(CHECK_FAILED)


def _split(path: str) -> tuple[str, str, str]:
    """Bucket, timestamp and blob of a path; the timestamp is empty when the newest archive is meant."""
    from livecalc.lifecycle.places import is_archive_timestamp

    bucket, _, rest = path.partition("/")
    first, _, below = rest.partition("/")
    timestamp, name = (first, below) if is_archive_timestamp(first) else ("", rest)
    if not (bucket and name):
        raise click.UsageError(
            f"{path!r} names no blob: add its path, as in {bucket or 'q4-2025'}/sentinel-violations.json; "
            f"`livecalc diagnostics show {bucket or 'q4-2025'}` names the logs"
        )
    return bucket, timestamp, name


def _how_to_print(found: "Found") -> str:
    """How to print a log, or what there is when nothing ran."""
    from livecalc.lifecycle.places import MANIFEST

    logs = [log.blob for log in found.manifest.containers if log.blob]
    what, name = ("a log", logs[0]) if logs else ("a blob", MANIFEST)
    return f"Print {what}: livecalc diagnostics cat {found.path}/{name}"
