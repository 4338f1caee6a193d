"""Health, metrics, keys, documents, and who the caller is."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from livecalc import __version__
from livecalc.api import metrics
from livecalc.api.call import Call, Visit, answer
from livecalc.api.problems import Refusal
from livecalc.api.route import NoQuery
from livecalc.domain.errors import LivecalcError, NotFound, Unavailable
from livecalc.domain.timestamps import format_timestamp
from livecalc.telemetry.versions import versions
from livecalc.wire import media
from livecalc.wire.status import Health, Status

if TYPE_CHECKING:
    from livecalc.cluster.port import Cluster

_PATIENCE = 2.0
"""Seconds that a part may take to say that it is there."""


async def health(visit: Visit) -> Response:
    """The process lives."""
    del visit
    return answer(Health(status="ok", version=__version__, checks={}))


async def readiness(visit: Visit) -> Response:
    """Every part that requests need answers. Raises Unavailable, which names those that do not."""
    platform = visit.site.platform
    probes: dict[str, Callable[[], Awaitable[object]]] = {
        "cluster": partial(_look_up_nothing, platform.cluster),
        "blobs": lambda: platform.blobs.list_containers("audit-"),
    }
    found = await asyncio.gather(*map(_answers, probes.values()))
    silent = [name for name, good in zip(probes, found, strict=True) if not good]
    if silent:
        raise Unavailable(f"not ready: {' and '.join(silent)} did not answer")
    return answer(Health(status="ok", version=__version__, checks=dict.fromkeys(probes, "ok")))


async def metrics_text(visit: Visit) -> Response:
    """Prometheus' text format."""
    return Response(visit.site.metrics.render(), media_type=metrics.CONTENT_TYPE)


async def jwks(visit: Visit) -> Response:
    """The local identity's public keys."""
    keys = visit.site.platform.published_keys
    if keys is None:
        raise Refusal(404, "this server publishes no keys: its tokens come from another party")
    body = msgspec.json.encode({"keys": list(await keys.fetch())})
    return Response(body, media_type="application/jwk-set+json")


async def openapi(visit: Visit) -> Response:
    """The OpenAPI document."""
    from livecalc.api.openapi import document

    return Response(msgspec.json.encode(document(visit.site.routes)), media_type=media.JSON)


async def docs(visit: Visit) -> Response:
    """The same for people."""
    from livecalc.api.docs import POLICY, page
    from livecalc.api.openapi import document

    return Response(page(document(visit.site.routes)), headers=POLICY, media_type="text/html")


async def status(call: Call[NoQuery]) -> Response:
    """Who the caller is, and what answers him."""
    principal = call.principal
    body = Status(
        version=__version__,
        cluster=call.platform.cluster.name,
        store=call.platform.blobs.name,
        tenant_id=principal.tenant_id,
        user_id=principal.user_id,
        token_expires_at=None if principal.expires_at is None else format_timestamp(principal.expires_at),
        versions=await asyncio.to_thread(versions),
    )
    return answer(body)


async def _look_up_nothing(cluster: "Cluster") -> None:
    """Have the cluster look into its objects for one that is not there: it costs the same however many there are."""
    with suppress(NotFound):
        await cluster.get_namespace("livecalc-readiness")


async def _answers(probe: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            await probe()
    except (LivecalcError, TimeoutError):
        return False
    return True
