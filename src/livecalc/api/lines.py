"""How a line of the route table is written; the types hold an endpoint and its query together."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.responses import Response

from livecalc.api.call import Call, Q, Visit
from livecalc.api.route import Answer, Body, NoQuery, Route


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


def get(  # noqa: PLR0913  (a line has so many parts)
    path: str,
    summary: str,
    endpoint: Callable[[Call[Q]], Awaitable[Response]],
    *,
    query: type[Q] = NoQuery,  # pyright: ignore[reportArgumentType]  (left out, Q is NoQuery)
    answers: Mapping[int, Answer],
    problems: Mapping[int, str] | None = None,
) -> Route:
    """A GET of a verified caller."""
    return Route(
        method="GET",
        path=path,
        summary=summary,
        endpoint=endpoint,
        query=query,
        answers=answers,
        problems=problems or {},
    )


def post(  # noqa: PLR0913  (a line has so many parts)
    path: str,
    summary: str,
    endpoint: Callable[[Call[Q]], Awaitable[Response]],
    *,
    query: type[Q] = NoQuery,  # pyright: ignore[reportArgumentType]  (left out, Q is NoQuery)
    answers: Mapping[int, Answer],
    problems: Mapping[int, str] | None = None,
    body: Body | None = None,
) -> Route:
    """A POST of a verified caller."""
    return Route(
        method="POST",
        path=path,
        summary=summary,
        endpoint=endpoint,
        query=query,
        answers=answers,
        problems=problems or {},
        body=body,
    )


def delete(  # noqa: PLR0913  (a line has so many parts)
    path: str,
    summary: str,
    endpoint: Callable[[Call[Q]], Awaitable[Response]],
    *,
    query: type[Q],
    answers: Mapping[int, Answer],
    problems: Mapping[int, str],
) -> Route:
    """A DELETE of a verified caller."""
    return Route(
        method="DELETE",
        path=path,
        summary=summary,
        endpoint=endpoint,
        query=query,
        answers=answers,
        problems=problems,
    )


def json(kind: Any, description: str) -> Answer:
    """An answer in JSON, of one type."""
    return Answer(body=kind, description=description)
