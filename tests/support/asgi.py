"""Small ASGI applications behind the API's front door, for what no real service does on purpose."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from livecalc.api.call import Site
from livecalc.api.doors import FrontDoor
from livecalc.embedded.transport import InProcessTransport
from livecalc.services import Platform

BASE = "http://livecalc.test"


@contextmanager
def serving(app: ASGIApp) -> Generator[httpx.Client, None, None]:
    """Speak HTTP to an application that knows nothing of lifespans."""

    async def living(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})

    @asynccontextmanager
    async def opened() -> AsyncGenerator[ASGIApp, None]:
        yield living

    with httpx.Client(transport=InProcessTransport(opened), base_url=BASE, timeout=20) as client:
        yield client


def behind_the_door(endpoint: Callable[[Request], Awaitable[Response]]) -> ASGIApp:
    """An endpoint behind the front door, without a platform."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    return FrontDoor(app, Site(platform=cast("Platform", None), routes=()))


def call(endpoint: Callable[[], Awaitable[Any]], headers: Mapping[Any, Any] | None = None) -> httpx.Response:
    """GET an endpoint that takes nothing."""

    async def asked(request: Request) -> Response:
        del request
        return cast("Response", await endpoint())

    with serving(behind_the_door(asked)) as client:
        return client.get("/", headers=headers)
