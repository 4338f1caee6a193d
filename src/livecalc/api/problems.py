"""From errors to HTTP: the one table of statuses and titles, and problem+json (RFC 9457) made from it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import cast
from urllib.parse import quote

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from livecalc.domain import errors
from livecalc.domain.errors import LivecalcError
from livecalc.wire.problems import CONTENT_TYPE, Problem, problem_type

TABLE: Mapping[type[LivecalcError], tuple[int, str]] = {
    errors.InvalidInput: (422, "Invalid input"),
    errors.TooLarge: (413, "Too large"),
    errors.Unauthenticated: (401, "Not authenticated"),
    errors.Forbidden: (403, "Forbidden"),
    errors.NotFound: (404, "Not found"),
    errors.Conflict: (409, "Conflict"),
    errors.AlreadyExists: (409, "Already exists"),
    errors.PreconditionFailed: (409, "Changed meanwhile"),
    errors.Reaping: (409, "Being reaped"),
    errors.Damaged: (500, "Stored data is damaged"),
    errors.Unavailable: (503, "Unavailable"),
    LivecalcError: (500, "Failed"),
}
"""By class; a class that is not here has the line of its nearest base."""

_RETRY_AFTER: Mapping[type[LivecalcError], int] = {errors.Reaping: 60, errors.Unavailable: 5}
"""Seconds."""
_REALM = 'Bearer realm="livecalc"'
_ABOUT_BLANK = "about:blank"


class Refusal(Exception):
    """A status that HTTP itself asks for and no error of the domain stands for: 404 of a path, 405, 406, 416."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


def expected(error: BaseException) -> LivecalcError | Refusal | None:
    """Find the error to tell the caller: itself, or the first of a group in which all were foreseen."""
    if isinstance(error, LivecalcError | Refusal):
        return error
    inner = cast("tuple[BaseException, ...]", getattr(error, "exceptions", ()))
    found = [expected(each) for each in inner]
    return found[0] if found and None not in found else None


def problem(scope: Scope, error: LivecalcError | Refusal) -> Response:
    """Answer an error."""
    if isinstance(error, Refusal):
        title = HTTPStatus(error.status).phrase
        return _response(scope, error.status, (_ABOUT_BLANK, title, error.detail), error.headers)
    kind, status, title = _line(error)
    return _response(scope, status, (problem_type(kind), title, error.detail), _headers(scope, error, status))


def problem_line(path: str, error: LivecalcError) -> bytes:
    """Say an error as the last line of an answer that has begun."""
    kind, status, title = _line(error)
    return msgspec.json.encode(_body(path, status, (problem_type(kind), title, error.detail))) + b"\n"


def internal(scope: Scope, request_id: str) -> Response:
    """Answer a bug: nothing of it but where to find it."""
    detail = f"the server failed; its log tells more under request id {request_id}"
    return _response(scope, 500, (_ABOUT_BLANK, "Internal Server Error", detail), {})


def _line(error: LivecalcError) -> tuple[type[LivecalcError], int, str]:
    kind = next(each for each in type(error).__mro__ if each in TABLE)
    return (kind, *TABLE[kind])


def _headers(scope: Scope, error: LivecalcError, status: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    for kind, seconds in _RETRY_AFTER.items():
        if isinstance(error, kind):
            headers["Retry-After"] = str(seconds)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = _challenge("invalid_token", error) if _tried(scope) else _REALM
    if status == HTTPStatus.FORBIDDEN:
        headers["WWW-Authenticate"] = _challenge("insufficient_scope", error)
    return headers


def _tried(scope: Scope) -> bool:
    """Whether a token was sent; RFC 6750 (3.1) gives no error code to a request without any."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    return any(value.lower().startswith(b"bearer") for value in values)


def _challenge(code: str, error: LivecalcError) -> str:
    # RFC 6750 (3) allows %x20-21, %x23-5B and %x5D-7E: printable ASCII without '"' and '\'.
    text = "".join(char if " " <= char <= "~" and char not in '"\\' else "'" for char in error.detail)
    return f'{_REALM}, error="{code}", error_description="{text[:200]}"'


def _response(scope: Scope, status: int, words: tuple[str, str, str], headers: Mapping[str, str]) -> Response:
    body = _body(scope["path"], status, words)
    return Response(msgspec.json.encode(body), status, headers, CONTENT_TYPE)


def _body(path: str, status: int, words: tuple[str, str, str]) -> Problem:
    kind, title, detail = words
    return Problem(type=kind, title=title, status=status, detail=detail, instance=quote(path, safe="/:@!$&'()*+,;=~"))
