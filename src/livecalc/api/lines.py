"""How a line of the route table is written; the types hold an endpoint and its query together."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from livecalc.api.call import Call, Q, Visit
from livecalc.api.route import Answer, Body, NoQuery, Route

_NAMED = {
    "{namespace}": "namespace",
    "{job_id}": "job",
    "{model_bundle_hash}": "bundle",
    "{bucket_id}/{timestamp}": "archive or blob",
}
"""What the parts of a path are called."""


def public(
    path: str,
    summary: str,
    endpoint: Callable[[Visit], Awaitable[Response]],
    answer: Answer,
    *,
    problems: Mapping[int, str] | None = None,
) -> Route:
    """A GET that needs no token and takes no query."""
    return Route(
        method="GET",
        path=path,
        summary=summary,
        endpoint=endpoint,
        answers={200: answer},
        problems=problems or {},
        public=True,
    )


class _Line(Struct, frozen=True):
    method: str

    def __call__(  # noqa: PLR0913  (a line has so many parts)
        self,
        path: str,
        summary: str,
        endpoint: Callable[[Call[Q]], Awaitable[Response]],
        *,
        query: type[Q] = NoQuery,  # pyright: ignore[reportArgumentType]  (left out, Q is NoQuery)
        answers: Mapping[int, Answer],
        problems: Mapping[int, str] | None = None,
        body: Body | None = None,
    ) -> Route:
        """An endpoint for verified callers."""
        return Route(
            method=self.method,
            path=path,
            summary=summary,
            endpoint=endpoint,
            query=query,
            answers=answers,
            problems=_problems(path, problems or {}),
            body=body,
        )


get, post, delete = _Line("GET"), _Line("POST"), _Line("DELETE")


def json(kind: Any, description: str) -> Answer:
    """An answer in JSON, of one type."""
    return Answer(body=kind, description=description)


def _problems(path: str, own: Mapping[int, str]) -> Mapping[int, str]:
    """With the 404 of what a path names: what is not there, and what is another tenant's."""
    missing = next((what for part, what in _NAMED.items() if part in path), None)
    return own if missing is None else {404: f"The caller's tenant has no such {missing}.", **own}
