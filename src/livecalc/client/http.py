"""Requests whose answers are wire values, and whose failures are the errors of the domain."""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from livecalc.domain import errors
from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import InvalidInput, LivecalcError, Unavailable
from livecalc.domain.timestamps import format_timestamp
from livecalc.wire.notices import HEADER, read_notice
from livecalc.wire.problems import Problem, error_class

T = TypeVar("T")
Param = str | int | bool | datetime | Sequence[str] | None

_BY_STATUS: Mapping[int, type[LivecalcError]] = {
    400: errors.InvalidInput,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.InvalidInput,
    406: errors.InvalidInput,
    409: errors.Conflict,
    413: errors.TooLarge,
    416: errors.InvalidInput,
    422: errors.InvalidInput,
    502: errors.Unavailable,
    503: errors.Unavailable,
    504: errors.Unavailable,
}
"""For problems whose `type` says nothing to us, and for answers that are none of our server."""
_ERROR_BYTES = 64 << 10
_log = logging.getLogger("livecalc.client")


class Http:
    """One server. Every method raises the domain's errors; Unavailable names the server that did not answer."""

    def __init__(self, http: httpx.Client, name: str) -> None:
        self._http = http
        self._name = name
        self.tell: Callable[[str], None] = partial(_log.warning, "%s")
        """What is done with the sentences that say what was left out of an answer."""

    def get(self, path: str, kind: type[T], *, patient: bool = False, **params: Param) -> T:
        """GET a wire value. `patient` waits for as long as the server takes."""
        request = self._http.build_request("GET", path, params=query(params), timeout=_timeout(patient=patient))
        return self._decode(self.send(request), kind)

    def post(self, path: str, kind: type[T], *, patient: bool = False, **params: Param) -> T:
        """POST without a body. `patient` waits for as long as the server takes."""
        request = self._http.build_request("POST", path, params=query(params), timeout=_timeout(patient=patient))
        return self._decode(self.send(request), kind)

    def post_body(self, path: str, kind: type[T], **body: Any) -> T:
        """POST httpx's `content`, `files`, ..., waiting for as long as the server takes."""
        return self._decode(self.send(self._http.build_request("POST", path, timeout=None, **body)), kind)

    def delete(self, path: str, kind: type[T], **params: Param) -> T:
        """DELETE, and read what was there."""
        return self._decode(self.send(self._http.build_request("DELETE", path, params=query(params))), kind)

    def get_pages(self, path: str, kind: type[T], *, most: int | None = None, **params: Param) -> list[T]:
        """GET a list and, by their links, the pages behind it: all, or until there are `most`."""
        found: list[T] = []
        request = self._http.build_request("GET", path, params=query(params))
        while True:
            response = self.send(request)
            found += self._decode(response, list[kind])
            link = response.links.get("next", {}).get("url")
            if link is None or (most is not None and len(found) >= most):
                return found[:most]
            request = self._http.build_request("GET", link)

    def get_bytes(self, path: str) -> bytes:
        """GET a small body as it is."""
        return self.send(self._http.build_request("GET", path)).content

    def stream(
        self, path: str, headers: Mapping[str, str] | None = None, *, patient: bool = False, **params: Param
    ) -> Iterator[bytes]:
        """GET a body in chunks, as they come."""
        request = self._http.build_request(
            "GET", path, params=query(params), headers=headers, timeout=_timeout(patient=patient)
        )
        with self._named(), self._opened(request) as response:
            yield from response.iter_bytes()

    def lines(self, path: str, kind: type[T]) -> Iterator[T]:
        """GET wire values, one on each line, as they come; waits for as long as the server takes.

        A last line that says why the answer breaks off is raised.
        """
        begun = b""
        for chunk in self.stream(path, patient=True):
            *whole, begun = (begun + chunk).split(b"\n")
            for line in whole:
                _raise_problem(line)
                yield self._decoded(line, kind)

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read its answer."""
        with self._named(), self._opened(request) as response:
            response.read()
        return response

    @contextmanager
    def _opened(self, request: httpx.Request) -> Generator[httpx.Response, None, None]:
        if self._http.is_closed:
            raise Unavailable(f"the client of {self._name} is closed: connect again")
        response = self._http.send(request, stream=True)
        try:
            for value in response.headers.get_list(HEADER):
                sentence = read_notice(value)
                if sentence is not None:
                    self.tell(sentence)
            if not response.is_success:
                raise self._error(response)
            yield response
        finally:
            response.close()

    @contextmanager
    def _named(self) -> Generator[None, None, None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise Unavailable(f"{self._name} cannot be reached ({error}): is it running?") from None
        except httpx.TimeoutException:
            raise Unavailable(f"{self._name} did not answer in time") from None
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise InvalidInput(f"{self._name} is not an address: {error}") from None
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._name} broke off its answer ({str(error) or type(error).__name__})") from None

    def _error(self, response: httpx.Response) -> LivecalcError:
        status = response.status_code
        try:
            problem = decode_json(_beginning(response), Problem)
        except msgspec.DecodeError:
            phrase = httpx.codes.get_reason_phrase(status)
            kind = _BY_STATUS.get(status, Unavailable)
            return kind(f"{self._name} answered {status} {phrase}".rstrip() + ", and said no more")
        return _told(problem, status)

    def _decode(self, response: httpx.Response, kind: type[T]) -> T:
        return self._decoded(response.content, kind)

    def _decoded(self, content: bytes, kind: type[T]) -> T:
        try:
            return decode_json(content, kind)
        except msgspec.DecodeError:
            raise Unavailable(f"{self._name} gave an answer that no LiveCalc platform gives: is it one?") from None


def path(*parts: str) -> str:
    """Join the parts of a path below `/v1`, each quoted. Raises InvalidInput for one that is empty, `.` or `..`."""
    for part in parts:
        if part in {"", ".", ".."}:
            raise InvalidInput(f"{part!r} is no name: give one")
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def query(params: Mapping[str, Param]) -> httpx.QueryParams:
    """Write query parameters as the API reads them; None is left out, a list is repeated."""
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        if isinstance(value, bool):
            pairs += [(name, "true")] if value else []
        elif isinstance(value, datetime):
            pairs.append((name, format_timestamp(value)))
        elif isinstance(value, str | int):
            pairs.append((name, str(value)))
        elif value is not None:
            pairs += [(name, each) for each in value]
    return httpx.QueryParams(tuple(pairs))


def _raise_problem(line: bytes) -> None:
    """Raise what a line says when it is a problem; nothing else that a server gives has a `type` and a `status`."""
    try:
        problem = decode_json(line, Problem)
    except msgspec.DecodeError:
        return
    raise _told(problem, problem.status)


def _told(problem: Problem, status: int) -> LivecalcError:
    kind = error_class(problem.type) or _BY_STATUS.get(status, LivecalcError)
    return kind(problem.detail)


def _timeout(*, patient: bool) -> Any:
    return None if patient else httpx.USE_CLIENT_DEFAULT


def _beginning(response: httpx.Response) -> bytes:
    """What an error says, as far as it is worth reading."""
    raw = b""
    for chunk in response.iter_bytes():
        raw += chunk
        if len(raw) > _ERROR_BYTES:
            break
    return raw
