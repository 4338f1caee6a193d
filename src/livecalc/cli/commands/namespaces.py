"""`livecalc namespaces`: the buckets' transient namespaces."""

import click

from livecalc.cli.format import count, utc_now
from livecalc.cli.lazy import Group
from livecalc.cli.output import emit, emit_json, emit_list, json_option
from livecalc.cli.session import connected
from livecalc.domain.buckets import NAMESPACE_PREFIX

EXAMPLE = """
livecalc namespaces list
livecalc namespaces finalize q4-2025
livecalc namespaces reap q4-2025
"""
_bucket = click.argument("bucket")


@click.group("namespaces", cls=Group, example=EXAMPLE)
def command() -> None:
    """Create, finalize and reap buckets' namespaces.

    BUCKET is a bucket id, or its namespace livecalc-bucket-{id}.
    """


@command.command("list", example="livecalc namespaces list --json")
@click.option("--all", "everything", is_flag=True, help="Show the namespaces of recomputations too.")
@json_option
def list_command(*, everything: bool, as_json: bool) -> None:
    """List the namespaces of your tenant."""
    from livecalc.cli.views.namespaces import list_namespaces

    with connected() as client:
        found = client.namespaces(recomputations=everything)
    if as_json:
        emit_json(found)
    else:
        emit_list(found, list_namespaces(found, utc_now()), "namespaces")


@command.command("show", example="livecalc namespaces show q4-2025")
@_bucket
@json_option
def show_command(bucket: str, *, as_json: bool) -> None:
    """Show one namespace."""
    from livecalc.cli.views.namespaces import show_namespace

    with connected() as client:
        namespace = client.namespace(_name(bucket))
    if as_json:
        emit_json(namespace)
    else:
        emit(show_namespace(namespace, utc_now()))


@command.command("create", example="livecalc namespaces create q4-2025 --retention standard")
@_bucket
@click.option(
    "--retention",
    type=click.Choice(["standard", "regulatory"]),
    help="How long its archive is kept: 30 days, or 7 years where the store can lock.",
)
@json_option
def create_command(bucket: str, retention: str | None, *, as_json: bool) -> None:
    """Create a bucket's namespace; submit does it too."""
    with connected() as client:
        created = client.create_namespace(_bucket_id(bucket), retention=retention)
    if as_json:
        emit_json(created)
    else:
        emit(f"{created.namespace} is active, created {created.created_at}")


@command.command("finalize", example="livecalc namespaces finalize q4-2025")
@_bucket
@click.option("--force", is_flag=True, help="Cancel the jobs that still run.")
@json_option
def finalize_command(bucket: str, *, force: bool, as_json: bool) -> None:
    """Close a bucket for new jobs; the next sweep archives and deletes it."""
    with connected() as client:
        namespace = client.finalize(_name(bucket), force=force)
    if as_json:
        emit_json(namespace)
    else:
        emit(f"{namespace.namespace} is {namespace.status}; the next sweep archives and deletes it")


@command.command("reap", example="livecalc namespaces reap q4-2025")
@_bucket
@click.option("--force", is_flag=True, help="Cancel the jobs that still run.")
@json_option
@click.pass_context
def reap_command(ctx: click.Context, bucket: str, *, force: bool, as_json: bool) -> None:
    """Archive a bucket's diagnostics and delete its namespace now."""
    with connected() as client:
        reaped = client.reap(_name(bucket), force=force)
    if as_json:
        emit_json(reaped)
    else:
        archived = reaped.diagnostics
        emit(reaped.message)
        if archived.blob_paths:
            # Of an archive the blobs are counted that its manifest lists, here as everywhere.
            emit(
                f"Archived {count(len(archived.blob_paths) - 1, 'blob')} and the manifest, "
                f"{count(archived.sentinel_violations_indexed, 'sentinel violation')}: "
                f"livecalc diagnostics show {_bucket_id(bucket)}"
            )
        else:
            emit("Nothing was archived")
    if not reaped.success:
        ctx.exit(1)


def _name(bucket: str) -> str:
    return bucket if bucket.startswith(NAMESPACE_PREFIX) else NAMESPACE_PREFIX + bucket


def _bucket_id(bucket: str) -> str:
    return bucket.removeprefix(NAMESPACE_PREFIX)
