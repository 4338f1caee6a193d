"""`livecalc cleanup`: the cleanup worker, one sweep over all namespaces of a platform."""

import asyncio
from typing import TYPE_CHECKING, Any

import click

from livecalc.cli.lazy import Command
from livecalc.cli.output import emit, emit_json, json_option, note

if TYPE_CHECKING:
    from livecalc.lifecycle.outcome import SweepReport
    from livecalc.lifecycle.plan import SweepPlan
    from livecalc.settings import Settings

EXAMPLE = """
livecalc cleanup --dry-run
livecalc cleanup
"""


@click.command("cleanup", cls=Command, example=EXAMPLE)
@click.option("--dry-run", is_flag=True, help="Show what a sweep would do and why, and change nothing.")
@json_option
@click.pass_context
def command(ctx: click.Context, *, dry_run: bool, as_json: bool) -> None:
    """Sweep once: archive and delete what is due.

    Due is what is finalized, idle for INACTIVITY_THRESHOLD_HOURS, or left half reaped. The log goes to standard
    error. Exits 1 when something failed, or could not be decided on.
    """
    from livecalc.settings import load

    settings = load()
    if settings.target.url is not None:
        raise click.UsageError(
            "cleanup sweeps the home of this machine, not a server, which sweeps by itself: unset LIVECALC_URL"
        )
    if dry_run:
        ctx.exit(_show(settings, asyncio.run(_plan(settings)), as_json=as_json))
    from livecalc.telemetry.logs import configure_logs

    configure_logs(level=settings.logs.level, format=settings.logs.format)
    note(f"Target: {settings.own_target}")
    report = asyncio.run(_sweep(settings))
    if as_json:
        emit_json(_as_counted(report))
    ctx.exit(0 if report.clean else 1)


async def _plan(settings: "Settings") -> "SweepPlan":
    from livecalc.bootstrap.service import open_platform

    async with open_platform(settings) as platform:
        return await platform.reaper.plan(every_pod=True)


async def _sweep(settings: "Settings") -> "SweepReport":
    from livecalc.bootstrap.service import open_platform

    async with open_platform(settings) as platform:
        return await platform.reaper.sweep()


def _as_counted(report: "SweepReport") -> dict[str, Any]:
    """The report with every namespace that is kept counted as the dry run does, planned or after all."""
    import msgspec

    counted = msgspec.to_builtins(report)
    return {**counted, "kept": report.kept + counted.pop("not_due")}


def _show(settings: "Settings", plan: "SweepPlan", *, as_json: bool) -> int:
    from livecalc.cli.views.namespaces import show_plan, total_plan
    from livecalc.cli.views.sweeps import entry

    lifecycle = settings.lifecycle
    limits = f"policy {lifecycle.archive_policy}   idle limit {lifecycle.inactivity_hours:g}h"
    note(f"Target: {settings.own_target}   {limits}")
    entries = [entry(each, plan.now) for each in plan.entries]
    if as_json:
        report: dict[str, Any] = {
            "dry_run": True,
            "entries": entries,
            "problems": plan.problems,
            "notices": plan.notices,
        }
        emit_json(report)
    else:
        if entries:
            emit(show_plan(entries))
        emit(total_plan(entries))
    for sentence in (*plan.problems, *plan.notices):
        note(f"Note: {sentence}")
    note("Dry run: nothing changed.")
    return 1 if plan.problems else 0
