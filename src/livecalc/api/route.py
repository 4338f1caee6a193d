"""What one line of the route table says: enough to serve an endpoint, and to document it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from livecalc.wire import media


class NoQuery(Struct, frozen=True, kw_only=True):
    """For endpoints that take no query parameters."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One good answer."""

    body: Any = None
    """The type of a JSON body; None when the body is not JSON, or there is none."""
    media_types: tuple[str, ...] = (media.JSON,)
    description: str


@dataclass(frozen=True, kw_only=True)
class Body:
    """What a request carries."""

    media_type: str
    type: Any = None
    """Of a JSON body or a form's fields; None for bytes."""
    file: str = ""
    """The form's part that is a file."""
    description: str


@dataclass(frozen=True, kw_only=True)
class Route:
    """One endpoint."""

    method: str
    path: str
    summary: str
    endpoint: Callable[[Any], Awaitable[Response]]
    query: type[Struct] = NoQuery
    body: Body | None = None
    answers: Mapping[int, Answer]
    problems: Mapping[int, str] = field(default_factory=dict[int, str])
    """When it refuses, by status; what every endpoint may answer (401, 422, 500, 503) is added to it."""
    public: bool = False

    @property
    def topic(self) -> str:
        """The heading it stands under: `jobs`, `namespaces`, ..."""
        head = self.path.removeprefix("/v1/").removeprefix("platform/").partition("/")[0]
        return head if self.path.startswith("/v1/") and head != "status" else "system"

    @property
    def template(self) -> str:
        """The path as documents write it: without the convertors of the router."""
        return self.path.replace(":path}", "}")
