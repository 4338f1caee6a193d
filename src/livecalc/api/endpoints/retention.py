"""`/v1/platform/retention`: legal holds on the archives of the caller's tenant."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.responses import Response

from livecalc.api.call import Call, answer
from livecalc.api.route import NoQuery
from livecalc.wire.retention import HoldRequest


class HoldQuery(Struct, frozen=True, kw_only=True):
    """Which hold."""

    bucket_id: Annotated[str, Meta(description="The bucket.")]
    timestamp: Annotated[
        str | None, Meta(description="The archive's; left out for the hold on everything of the bucket.")
    ] = None


async def list_holds(call: Call[NoQuery]) -> Response:
    """All of the tenant."""
    return answer(await call.platform.holds.list_holds(call.principal))


async def place_hold(call: Call[NoQuery]) -> Response:
    """Nothing under it is deleted from then on."""
    asked = await call.json(HoldRequest)
    hold = await call.platform.holds.place(
        call.principal, asked.bucket_id, asked.timestamp, reason=asked.reason, request_id=call.request_id
    )
    return answer(hold, 201)


async def release_hold(call: Call[HoldQuery]) -> Response:
    """What it held goes when its retention has ended."""
    query = call.query
    hold = await call.platform.holds.release(
        call.principal, query.bucket_id, query.timestamp, request_id=call.request_id
    )
    return answer(hold)
