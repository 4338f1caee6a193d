"""`livecalc status`: what answers, and as whom."""

import click

from livecalc.cli.format import moment
from livecalc.cli.lazy import Command
from livecalc.cli.output import emit, emit_json, json_option
from livecalc.cli.session import connected
from livecalc.cli.tables import facts


@click.command("status", cls=Command, example="livecalc status")
@json_option
def command(*, as_json: bool) -> None:
    """Show target, tenant, user, token's end and versions."""
    with connected() as client:
        status = client.status()
        target = client.target
    if as_json:
        import msgspec

        emit_json({"target": target, **msgspec.structs.asdict(status)})
        return
    emit(
        facts(
            [
                ("Target", target),
                ("Cluster", status.cluster),
                ("Store", status.store),
                ("Tenant", status.tenant_id),
                ("User", status.user_id),
                ("Token", f"until {moment(status.token_expires_at)}" if status.token_expires_at else "without an end"),
                ("Versions", ", ".join(f"{name} {version}" for name, version in sorted(status.versions.items()))),
            ]
        )
    )
