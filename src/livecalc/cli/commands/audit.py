"""`livecalc audit`: who did what, and whether the record is whole."""

import click

from livecalc.cli.format import NONE, count
from livecalc.cli.lazy import Group
from livecalc.cli.output import bad, emit, emit_json, emit_list, good, json_option
from livecalc.cli.session import connected
from livecalc.cli.times import since_option

EXAMPLE = """
livecalc audit list --since 7d
livecalc audit verify
"""
_CHECK_FAILED = 3


@click.group("audit", cls=Group, example=EXAMPLE)
def command() -> None:
    """Show who did what, and verify the record."""


@command.command("list", example="livecalc audit list --limit 20")
@since_option
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", default=100, show_default=True, help="At most so many records."
)
@json_option
def list_command(since: str | None, limit: int, *, as_json: bool) -> None:
    """List your tenant's audit records, newest first."""
    from livecalc.cli.views.audit import list_audit

    with connected() as client:
        entries = client.audit(since=since, limit=limit)
    if as_json:
        emit_json(entries)
    else:
        emit_list(entries, list_audit(entries), "audit records", since=since)


@command.command("verify", example="livecalc audit verify --head 3fa0b1c2d944")
@click.option("--head", "heads", multiple=True, metavar="HASH", help="A head noted elsewhere; may be given many times.")
@json_option
@click.pass_context
def verify_command(ctx: click.Context, heads: tuple[str, ...], *, as_json: bool) -> None:
    """Check the chain of hashes from its first record to its head.

    Finds every edit and deletion, and truncation back to the newest head that is known elsewhere: a --head must
    still be in the record. Exits 3 when the record does not hold.
    """
    with connected() as client:
        found = client.verify_audit(head=heads)
    if as_json:
        emit_json(found)
    elif found.holds:
        # The head is given in full: it is what people note elsewhere.
        emit(good(f"{count(found.records, 'record')} as they were written, head {found.head or NONE}"))
    else:
        what = "the record" if found.first_bad is None else f"record {found.first_bad}"
        emit(bad(f"{what} does not hold: {found.reason}"))
    if not found.holds:
        ctx.exit(_CHECK_FAILED)
