"""`livecalc diagnostics`: the archives that reaped buckets leave."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livecalc.cli.checks import CHECK_FAILED, a_check, interruptible
from livecalc.cli.format import plain
from livecalc.cli.lazy import Group
from livecalc.cli.output import bad, emit, emit_json, emit_list, good, json_option, note
from livecalc.cli.session import connected
from livecalc.cli.times import since_option
from livecalc.domain.buckets import NAMESPACE_PREFIX

if TYPE_CHECKING:
    from livecalc.cli.archive import Found
    from livecalc.wire.diagnostics import ArchiveVerification

EXAMPLE = """
livecalc diagnostics list q4-2025
livecalc diagnostics show q4-2025
livecalc diagnostics download q4-2025/20260126-010504 --to archive
livecalc diagnostics verify --all
"""
_bucket = click.option("--bucket", "only", metavar="ID", help="Only this bucket's.")
_archive = click.argument("archive", metavar="BUCKET[/TIMESTAMP]")


class _Folder(click.Path):
    """A folder with a name: an empty one would be the current folder, which hardly anyone means."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value):
            self.fail("'' is no folder: give one, or '.' for this one", param, ctx)
        return super().convert(value, param, ctx)


@click.group("diagnostics", cls=Group, example=EXAMPLE)
def command() -> None:
    """Read and verify the archives of buckets.

    A bucket's archive holds its logs, violations, events and pod states, and a manifest that says what is there,
    what is not, and why. BUCKET is a bucket id, or its namespace livecalc-bucket-{id}; without TIMESTAMP the newest
    archive of the bucket is meant.
    """


@command.command("list", example="livecalc diagnostics list --bucket q4-2025")
@click.argument("bucket", required=False)
@_bucket
@json_option
def list_command(bucket: str | None, only: str | None, *, as_json: bool) -> None:
    """List the archives of a bucket, or of all, the newest of a bucket last."""
    from livecalc.cli.views.archives import list_archives

    if bucket is not None and only is not None:
        raise click.UsageError("give the bucket once: as an argument, or with --bucket")
    chosen = _bucket_id(only if bucket is None else bucket)
    with connected() as client:
        archives = client.archives(chosen)
    if as_json:
        emit_json(archives)
    else:
        emit_list(archives, list_archives(archives), "archives", bucket=chosen)


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


@command.command("cat", example="livecalc diagnostics cat q4-2025 j-01jdx4m8k3q7-0-x7k2p")
@click.argument("archive", metavar="BUCKET[/TIMESTAMP]")
@click.argument("log", metavar="LOG", required=False)
def cat_command(archive: str, log: str | None) -> None:
    """Print one log of an archive, or any other blob.

    LOG is a pod, a pod's container as in `pod.container`, or a blob as the manifest lists it. In one word,
    BUCKET[/TIMESTAMP]/BLOB, a blob is printed without a look at the manifest. Exits 3, and says so at the end, when
    what was printed does not have the digest that the manifest gives.
    """
    from livecalc.cli.archive import find, log_name, newest, read_log
    from livecalc.cli.files import save_stream

    if log is None:
        bucket, timestamp, name = _split(archive)
        with connected() as client, a_check():
            save_stream(client.blob(f"{bucket}/{timestamp or newest(client, bucket)}/{name}"), None)
        return
    with connected() as client, a_check():
        found = find(client, archive)
        save_stream(read_log(client, found, log_name(found, log)), None)


@command.command("download", example="livecalc diagnostics download q4-2025 --to archive")
@_archive
@click.option(
    "--to",
    "--output",
    "-o",
    "output",
    metavar="DIR",
    type=_Folder(file_okay=False, path_type=Path),
    help="The folder; by default as the archive is called.",
)
@json_option
@click.pass_context
def download_command(ctx: click.Context, archive: str, output: Path | None, *, as_json: bool) -> None:
    """Fetch every blob of an archive into a folder, each checked against the manifest.

    What is there and as the manifest says is not fetched again, and a download that was cut off goes on where it
    stopped. A folder that holds anything else is refused. Exits 3 when a blob is not as the manifest says.
    """
    from livecalc.cli.archive import find
    from livecalc.cli.download import fetch
    from livecalc.cli.progress import transfer
    from livecalc.cli.silence import waiting_for
    from livecalc.cli.views.archives import tell_fetched

    with interruptible("Interrupted; the same command goes on where it stopped."), connected() as client, a_check():
        with waiting_for(f"archive {archive}"):
            found = find(client, archive)
        target = output or Path(found.path.replace("/", "-"))
        with waiting_for(f"archive {found.path}") as stir, transfer(found.path) as advance:

            def tell(done: int, whole: int) -> None:
                stir()
                advance(done, whole)

            report = fetch(client, found, target, tell)
    if as_json:
        emit_json(report)
    else:
        emit(tell_fetched(report))
    for difference in report.differences:
        note(bad(difference))
    if report.differences:
        ctx.exit(CHECK_FAILED)


@command.command("verify", example="livecalc diagnostics verify q4-2025")
@click.argument("archive", metavar="[BUCKET[/TIMESTAMP]]", required=False)
@click.option("--all", "every", is_flag=True, help="All archives, and those that the audit record misses.")
@json_option
@click.pass_context
def verify_command(ctx: click.Context, archive: str | None, *, every: bool, as_json: bool) -> None:
    """Check every blob of an archive against its manifest, and the manifest against the audit record.

    The manifest must also be as its schema asks, and name an audit head that is in the audit record. Exits 3 when
    something is missing or differs, and names it: also an archive that is gone, though the audit record says that it
    was made, and not that retention deleted it.
    """
    from livecalc.cli.archive import verify
    from livecalc.cli.views.archives import verdict

    if every == (archive is not None):
        raise click.UsageError("name one archive, or give --all")
    found: list[ArchiveVerification] = []
    with interruptible("Interrupted; the same command verifies from the beginning."), connected() as client, a_check():
        for each in client.verify_archives() if archive is None else [verify(client, archive)]:
            found.append(each)
            if not as_json:
                emit((good if each.holds else bad)(verdict(each)))
                for difference in each.differences:
                    note(f"  {plain(difference)}")
    if as_json:
        emit_json(found if every else found[0])
    elif every and not found:
        emit_list(found, "", "archives")
    if not all(each.holds for each in found):
        ctx.exit(CHECK_FAILED)


@command.command("violations", example="livecalc diagnostics violations --since 7d")
@since_option
@_bucket
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    metavar="N",
    default=100,
    show_default=True,
    help="At most so many violations.",
)
@json_option
def violations_command(since: str | None, only: str | None, limit: int, *, as_json: bool) -> None:
    """List the sentinel violations of all archives, newest first.

    They come from an index over the archives; `livecalc diagnostics reindex --check` compares the two.
    """
    from livecalc.cli.views.violations import list_violations

    with connected() as client:
        found = client.violations(since=since, bucket_id=_bucket_id(only), limit=limit)
    if as_json:
        emit_json(found)
    else:
        emit_list(found, list_violations(found), "sentinel violations", bucket=_bucket_id(only), since=since)


@command.command("reindex", example="livecalc diagnostics reindex --check")
@click.option("--check", is_flag=True, help="Only compare, and change nothing.")
@json_option
@click.pass_context
def reindex_command(ctx: click.Context, *, check: bool, as_json: bool) -> None:
    """Make the index of sentinel violations anew from the archives, and compare the two.

    Exits 3 when they are not equal: with --check as they were found, else after the index was made anew.
    """
    from livecalc.cli.views.violations import tell_reindexed

    with connected() as client:
        found = client.reindex(check=check)
    if as_json:
        emit_json(found)
    else:
        emit((good if found.equal else bad)(tell_reindexed(found)))
        for difference in found.differences:
            note(f"  {plain(difference)}")
    if not found.equal:
        ctx.exit(CHECK_FAILED)


def _bucket_id(bucket: str | None) -> str | None:
    return None if bucket is None else bucket.removeprefix(NAMESPACE_PREFIX)


def _split(path: str) -> tuple[str, str, str]:
    """Bucket, timestamp and blob of a path; the timestamp is empty when the newest archive is meant."""
    from livecalc.lifecycle.archive.places import is_archive_timestamp

    bucket, _, rest = path.removeprefix(NAMESPACE_PREFIX).partition("/")
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
    from livecalc.lifecycle.archive.places import LOGS, MANIFEST

    for log in found.manifest.containers:
        if log.blob:
            name = log.blob.removeprefix(LOGS).removesuffix(".log")
            return f"Print a log: livecalc diagnostics cat {found.path} {name}"
    return f"Print a blob: livecalc diagnostics cat {found.path}/{MANIFEST}"
