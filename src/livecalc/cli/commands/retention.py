"""`livecalc retention`: what has outlived its retention goes; and legal holds, which keep it."""

import asyncio
from typing import TYPE_CHECKING

import click

from livecalc.cli.format import plain
from livecalc.cli.lazy import Group
from livecalc.cli.output import emit, emit_json, emit_list, json_option, note
from livecalc.cli.session import connected
from livecalc.domain.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from livecalc.lifecycle.retention.plan import RetentionPlan
    from livecalc.lifecycle.retention.report import RetentionReport
    from livecalc.settings import Settings
    from livecalc.wire.retention import RetentionBegun

EXAMPLE = """
livecalc retention plan
livecalc retention apply
livecalc retention hold q4-2025 --reason "Audit 2026-17"
"""
_tenant = click.option("--tenant", metavar="KEY", help="Only this tenant's; by default all that the store has.")
_what = click.argument("what", metavar="BUCKET[/TIMESTAMP]")


@click.group("retention", cls=Group, example=EXAMPLE)
def command() -> None:
    """Delete what has outlived its retention, and hold what must not go.

    plan and apply work on this machine's own platform, for all tenants, like cleanup; hold, release and holds are for
    your tenant.
    """


@command.command("plan", example="livecalc retention plan --json")
@_tenant
@json_option
@click.pass_context
def plan_command(ctx: click.Context, tenant: str | None, *, as_json: bool) -> None:
    """Show what would be deleted, what stays, and why; and change nothing.

    Exits 1 when something could not be decided on.
    """
    from livecalc.cli.views.retention import begun, count_plan, entry, show_plan, total_plan

    settings = _own_settings()
    note(f"Target: {settings.own_target}")
    plan = asyncio.run(_plan(settings, tenant))
    entries = [entry(each) for each in plan.entries]
    left = [begun(each) for each in plan.begun]
    _tell(left, plan.problems)
    if as_json:
        emit_json({"entries": entries, "begun": left, "problems": plan.problems, "counts": count_plan(entries)})
    else:
        if entries:
            emit(show_plan(entries))
        emit(total_plan(entries))
    ctx.exit(1 if plan.problems else 0)


@command.command("apply", example="livecalc retention apply")
@_tenant
@json_option
@click.pass_context
def apply_command(ctx: click.Context, tenant: str | None, *, as_json: bool) -> None:
    """Delete what has outlived its retention, each deletion audited before and after.

    At most MAX_REAPS archives go in one run, as many jobs, and as many bundles. Exits 1 when something failed, or could
    not be decided on.
    """
    from livecalc.cli.views.retention import count_report, outcome, show_report, total_report
    from livecalc.telemetry.logs import configure_logs

    settings = _own_settings()
    configure_logs(level=settings.logs.level, format=settings.logs.format)
    note(f"Target: {settings.own_target}")
    report = asyncio.run(_apply(settings, tenant))
    _tell([], report.problems)
    outcomes = [outcome(each) for each in report.outcomes]
    if as_json:
        emit_json({"outcomes": outcomes, "problems": report.problems, "counts": count_report(report)})
    else:
        if outcomes:
            emit(show_report(outcomes))
        emit(total_report(report))
    ctx.exit(0 if report.clean else 1)


@command.command("hold", example='livecalc retention hold q4-2025/20260126-010504 --reason "Audit 2026-17"')
@_what
@click.option("--reason", required=True, help="Why, for whoever finds it later.")
@json_option
def hold_command(what: str, reason: str, *, as_json: bool) -> None:
    """Keep an archive, or everything of a bucket, from being deleted until it is released."""
    bucket, timestamp = _split(what)
    with connected() as client:
        hold = client.hold(bucket, timestamp=timestamp, reason=reason)
    if as_json:
        emit_json(hold)
    else:
        emit(f"{what} is held since {hold.held_at}; release it with: livecalc retention release {what}")


@command.command("release", example="livecalc retention release q4-2025/20260126-010504")
@_what
@json_option
def release_command(what: str, *, as_json: bool) -> None:
    """Take a legal hold away; what it held goes when its retention has ended."""
    bucket, timestamp = _split(what)
    with connected() as client:
        hold = client.release(bucket, timestamp=timestamp)
    if as_json:
        emit_json(hold)
    else:
        emit(
            f"{what} is not held any more; it was since {hold.held_at}, by {plain(hold.held_by)}: {plain(hold.reason)}"
        )


@command.command("holds", example="livecalc retention holds")
@json_option
def holds_command(*, as_json: bool) -> None:
    """List the legal holds of your tenant."""
    from livecalc.cli.views.retention import show_holds

    with connected() as client:
        found = client.holds()
    if as_json:
        emit_json(found)
    else:
        emit_list(found, show_holds(found), "holds")


def _own_settings() -> "Settings":
    from livecalc.settings import load

    settings = load()
    if settings.target.url is not None:
        raise click.UsageError(
            "retention plan and apply work on the platform of this machine, not on a server: unset LIVECALC_URL"
        )
    return settings


async def _plan(settings: "Settings", tenant: str | None) -> "RetentionPlan":
    from livecalc.bootstrap.service import open_platform

    async with open_platform(settings) as platform:
        return await platform.curator.plan(tenant=tenant)


async def _apply(settings: "Settings", tenant: str | None) -> "RetentionReport":
    from livecalc.bootstrap.service import open_platform

    async with open_platform(settings) as platform:
        return await platform.curator.apply(await platform.curator.plan(tenant=tenant))


def _tell(left: "Sequence[RetentionBegun]", problems: "Sequence[str]") -> None:
    for each in left:
        what = f"{each.kind} {each.name} of tenant {each.tenant}"
        then = "apply finishes it" if each.kept is None else f"it stays after all: {each.kept}"
        note(f"Note: the deletion of {what}, begun at {each.begun_at}, was cut off: {then}")
    for sentence in problems:
        note(f"Note: {sentence}")


def _split(what: str) -> tuple[str, str | None]:
    bucket, slash, timestamp = what.partition("/")
    if slash and not timestamp:
        raise InvalidInput(f"{what!r} names no archive: give BUCKET, or BUCKET/TIMESTAMP")
    return bucket, timestamp or None
