"""What an endpoint is given: the site, the caller, his request and its query; and how it answers JSON."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from livecalc.api.metrics import Metrics
from livecalc.api.route import Route
from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import InvalidInput
from livecalc.domain.tenants import Principal
from livecalc.services import Platform
from livecalc.wire import media

Q = TypeVar("Q", bound=Struct)
T = TypeVar("T", bound=Struct)
_JSON_LIMIT = 64 << 10


@dataclass(frozen=True, kw_only=True)
class Site:
    """One application: the platform it serves, and what it knows of itself."""

    platform: Platform
    routes: Sequence[Route]
    metrics: Metrics = field(default_factory=Metrics)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is asked to stop: streams that would go on for hours end then."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A request to a public endpoint."""

    site: Site
    request: Request
    request_id: str


@dataclass(frozen=True, kw_only=True)
class Call(Visit, Generic[Q]):
    """A request of a verified caller."""

    principal: Principal
    query: Q

    @property
    def platform(self) -> Platform:
        """The services."""
        return self.site.platform

    def path(self, name: str) -> str:
        """A part of the path, decoded."""
        return str(self.request.path_params[name])

    async def json(self, kind: type[T]) -> T:
        """Read a JSON body. Raises InvalidInput, which names the field."""
        raw = b""
        async for chunk in self.request.stream():
            raw += chunk
            if len(raw) > _JSON_LIMIT:
                raise InvalidInput(f"the body is not valid: it has more than {_JSON_LIMIT} bytes")
        try:
            return decode_json(raw, kind)
        except msgspec.DecodeError as error:
            raise InvalidInput(f"the body is not valid: {error}") from None


def answer(body: Struct | Sequence[Struct], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(msgspec.json.encode(body), status, headers, media.JSON)


def answer_page(found: Sequence[T], limit: int, path: str, following: Callable[[T], Mapping[str, object]]) -> Response:
    """Answer with at most `limit`; when there are more, `Link` leads on, by what `following` says of the last one."""
    page = found[:limit]
    if len(page) == len(found):
        return answer(page)
    query = {"limit": limit, **following(page[-1])}
    return answer(page, headers={"Link": f'<{path}?{urlencode(query)}>; rel="next"'})
