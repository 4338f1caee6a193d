"""The real application on a real platform in a fresh home, spoken to as any tenant; answers are held to the docs."""

import re
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from starlette.types import ASGIApp

from livecalc.api.app import create_app
from livecalc.api.openapi import statuses
from livecalc.api.route import Route
from livecalc.api.routes import ROUTES
from livecalc.bootstrap.service import local_token, open_platform
from livecalc.client import Client
from livecalc.embedded.transport import InProcessTransport
from livecalc.settings import Settings, load
from livecalc.wire.problems import CONTENT_TYPE

BASE = "http://livecalc.test"


@dataclass(frozen=True)
class Site:
    """One application; `http` sends no token."""

    settings: Settings
    http: httpx.Client
    transport: InProcessTransport

    def token(self, tenant: str = "acme", user: str = "ana") -> str:
        return local_token(self.settings, tenant=tenant, user=user)

    def caller(self, tenant: str = "acme", user: str = "ana") -> httpx.Client:
        """A plain HTTP client with a good token."""
        headers = {"Authorization": f"Bearer {self.token(tenant, user)}"}
        return httpx.Client(
            transport=_Shared(self.transport),
            base_url=BASE,
            headers=headers,
            timeout=60,
            event_hooks={"response": [check_documented]},
        )

    def client(self, tenant: str = "acme", user: str = "ana") -> Client:
        """The typed client."""
        return Client(self.caller(tenant, user), target="test")


class _Shared(httpx.BaseTransport):
    """The site's transport; closing one client leaves it open for the others."""

    def __init__(self, transport: InProcessTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._transport.handle_request(request)


@contextmanager
def open_site(home: Path, **environment: str) -> Generator[Site, None, None]:
    settings = load({"LIVECALC_HOME": str(home), **environment})

    @asynccontextmanager
    async def application() -> AsyncGenerator[ASGIApp, None]:
        async with open_platform(settings) as platform:
            yield create_app(platform)

    transport = InProcessTransport(application)
    with httpx.Client(
        transport=transport, base_url=BASE, timeout=60, event_hooks={"response": [check_documented]}
    ) as http:
        yield Site(settings, http, transport)


def check_documented(response: httpx.Response) -> None:
    """Every answer has a status and a media type that the route table names."""
    kind = response.headers.get("content-type", "")
    if not response.is_success and response.status_code != 304:
        assert kind == CONTENT_TYPE, (response.request.url, response.status_code, kind)
    assert response.headers["x-request-id"]
    route = find_route(response.request.method, response.request.url.path)
    if route is None:
        assert response.status_code in {401, 404, 405}
        return
    assert response.status_code in statuses(route), (route.path, response.status_code)
    if response.is_success:
        kinds = {each for answer in route.answers.values() for each in answer.media_types}
        assert {kind, kind.partition(";")[0]} & kinds, (route.path, kind)


def find_route(method: str, path: str) -> Route | None:
    wanted = "GET" if method == "HEAD" else method
    return next((route for route in ROUTES if route.method == wanted and _pattern(route).fullmatch(path)), None)


def _pattern(route: Route) -> re.Pattern[str]:
    parts = re.split(r"\{\w+(:path)?\}", route.path)
    return re.compile(
        "".join(r".*" if part == ":path" else r"[^/]+" if part is None else re.escape(part) for part in parts),
        re.DOTALL,
    )
