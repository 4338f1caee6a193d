"""`livecalc mttc`: recompute a run from its bundle and compare the results."""

from typing import TYPE_CHECKING

import click

from livecalc.cli.checks import CHECK_FAILED, a_check
from livecalc.cli.lazy import Group
from livecalc.cli.output import bad, emit, emit_json, good, json_option, note
from livecalc.cli.session import connected

if TYPE_CHECKING:
    from livecalc.client import Client
    from livecalc.wire.mttc import Verified

EXAMPLE = """
livecalc mttc verify j-01jdx4m8k3q7
livecalc mttc verify --bucket q4-2025 --bundle 7c1e0b94d2aa
"""


@click.group("mttc", cls=Group, example=EXAMPLE)
def command() -> None:
    """Recompute a run and compare it, bit for bit.

    MTTC is the mean time to re-compute: the measured time to rebuild a deleted run and get the same result.
    """


@command.command("verify", example=EXAMPLE)
@click.argument("job", required=False)
@click.option("--bucket", metavar="ID", help="With --bundle: the latest succeeded job of that bundle in this bucket.")
@click.option("--bundle", metavar="HASH", help="See --bucket.")
@json_option
@click.pass_context
def verify_command(
    ctx: click.Context, job: str | None, bucket: str | None, bundle: str | None, *, as_json: bool
) -> None:
    """Recompute JOB in a new namespace and compare result hashes.

    Exits 3 on a mismatch, when something stored is damaged, and when it took longer than MTTC_TARGET_SECONDS.
    """
    if (job is None) == (bucket is None or bundle is None):
        raise click.UsageError("name a JOB, or both --bucket and --bundle")
    with connected() as client, a_check():
        bucket_id, digest, job_id = _original(client, job, bucket, bundle)
        note(f"Recomputing {job_id or digest} ...")
        verified = client.verify(bucket_id, digest, job_id=job_id)
    if as_json:
        emit_json(verified)
    else:
        _show(verified)
    if not verified.success:
        ctx.exit(CHECK_FAILED)


def _original(client: "Client", job: str | None, bucket: str | None, bundle: str | None) -> tuple[str, str, str | None]:
    if job is not None:
        original = client.job(client.resolve_job(job))
        return original.bucket_id, original.model_bundle_hash, original.job_id
    return bucket or "", client.resolve_bundle(bundle or ""), None


def _show(verified: "Verified") -> None:
    from livecalc.cli.views.recomputation import explain, show_hashes, show_phases, verdict

    emit(show_phases(verified.phases))
    emit(show_hashes(verified))
    emit((good if verified.success else bad)(verdict(verified)))
    reasons = explain(verified)
    if reasons:
        emit(reasons)
