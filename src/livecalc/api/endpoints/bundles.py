"""`/v1/bundles`: model bundles by their hash."""

from pathlib import Path

from starlette.responses import Response

from livecalc.api.call import Call, answer
from livecalc.api.route import NoQuery
from livecalc.api.uploads import uploaded
from livecalc.bundles.store import PushedBundle
from livecalc.domain.tenants import Principal
from livecalc.services import Platform
from livecalc.wire.jobs import BundlePushed


async def push_bundle(call: Call[NoQuery]) -> Response:
    """201 for a new one, 200 for bytes that are there already."""
    async with uploaded(call.request, call.platform.bundles.limits.bytes) as path:
        pushed = await push_file(call.platform, call.principal, path, request_id=call.request_id)
    return answer(
        BundlePushed(model_bundle_hash=pushed.model_bundle_hash, size=pushed.size), 201 if pushed.created else 200
    )


async def get_bundle(call: Call[NoQuery]) -> Response:
    """Complete a hash from its first digits."""
    bundles, key = call.platform.bundles, call.principal.tenant_key
    digest = await bundles.resolve(key, call.path("model_bundle_hash"))
    bundle = await bundles.describe(key, digest)
    return answer(BundlePushed(model_bundle_hash=digest, size=bundle.size))


async def push_file(platform: Platform, principal: Principal, path: Path, *, request_id: str) -> PushedBundle:
    """Verify and store an uploaded bundle, on the record."""
    async with platform.audit.operation(
        principal=principal, operation="push-bundle", request_id=request_id, required=False
    ) as entry:
        pushed = await platform.bundles.push(principal.tenant_key, path)
        entry.detail["model_bundle_hash"] = pushed.model_bundle_hash
        entry.detail["size"] = pushed.size
    return pushed
