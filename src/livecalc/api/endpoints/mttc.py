"""`/v1/platform/mttc/verify`: recompute a run and compare."""

from starlette.responses import Response

from livecalc.api.call import Call, answer
from livecalc.api.route import NoQuery
from livecalc.wire.mttc import VerifyRequest


async def verify_run(call: Call[NoQuery]) -> Response:
    """Answers when the recomputation has ended; a mismatch is 200 too."""
    request = await call.json(VerifyRequest)
    return answer(await call.platform.recomputer.verify(call.principal, request, request_id=call.request_id))
