"""`/v1/platform/audit`: who did what, and whether the record of it is whole."""

from typing import Annotated

from msgspec import Meta, Struct, field
from starlette.responses import Response

from livecalc.api.call import Call, answer, answer_page
from livecalc.api.query import Timestamp
from livecalc.domain.timestamps import format_timestamp

PATH = "/v1/platform/audit"


class AuditQuery(Struct, frozen=True, kw_only=True):
    """Which records."""

    since: Annotated[Timestamp | None, Meta(description="Only those from this time on.")] = None
    limit: Annotated[int, Meta(ge=1, le=10_000, description="At most so many, the newest.")] = 100
    before: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Only those with a smaller number; from Link.")
    ] = None


class HeadsQuery(Struct, frozen=True, kw_only=True):
    """What the chain must still contain."""

    head: Annotated[
        list[str], Meta(description="A head noted elsewhere: the hash of a record; may be given many times.")
    ] = field(default_factory=list[str])


async def list_audit(call: Call[AuditQuery]) -> Response:
    """One page, newest first; `Link` leads to the next."""
    query = call.query
    entries = await call.platform.audit.read(
        call.principal.tenant_id, since=query.since, limit=query.limit + 1, before=query.before
    )
    since = {"since": format_timestamp(query.since)} if query.since else {}
    return answer_page(entries, query.limit, PATH, lambda last: {"before": last.sequence, **since})


async def verify_audit(call: Call[HeadsQuery]) -> Response:
    """Walk the chain from its first record to its head; it must contain the heads that archives and jobs hold."""
    platform, principal = call.platform, call.principal
    held = [*await platform.diagnostics.audit_heads(principal), *await platform.jobs.audit_heads(principal)]
    return answer(await platform.audit.verify(principal.tenant_id, heads=held, given=call.query.head))
