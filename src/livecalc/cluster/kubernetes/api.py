"""One request to the API server: verb, target, body; tried again while that may help, and how it failed in words.

Every write here may be sent twice: what is made has a name, what is changed a precondition or the same end. The answer
says when an earlier try may have been carried out, so that its echo is not taken for another's deed.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Literal, TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec
from msgspec import Struct, field

from livecalc.cluster.kubernetes import failures
from livecalc.cluster.kubernetes.connect import Link
from livecalc.cluster.kubernetes.retry import FAILING, RETRIED, Patience, was_sent, wish_of, words
from livecalc.cluster.kubernetes.targets import Target
from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import LivecalcError, Unavailable

T = TypeVar("T")
Verb = Literal["get", "list", "create", "patch", "apply", "delete"]

OWNED = {"fieldManager": "livecalc", "force": "true"}
"""The query of an `apply`: the fields in its body are ours, whoever wrote them before."""

_METHODS: dict[Verb, str] = {
    "get": "GET",
    "list": "GET",
    "create": "POST",
    "patch": "PATCH",
    "apply": "PATCH",
    "delete": "DELETE",
}
_TYPES: dict[Verb, str] = {
    "patch": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
_PAGE = 500
_REFUSED = 400
_FAILURES = (aiohttp.ClientError, TimeoutError, OSError)


class Call(Struct, frozen=True, kw_only=True):
    """What to ask. A `patch` is a strategic merge patch, an `apply` one that the server merges by owners."""

    verb: Verb
    target: Target
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: object = None
    about: Target | None = None
    """What to name when it fails: of a list that something is to be added to, that."""


class Answer(Struct, frozen=True, kw_only=True):
    """What came back, whatever its status."""

    cluster: str
    call: Call
    status: int
    body: bytes
    date: str = ""
    doubtful: bool = False
    """Whether an earlier try of the same request may have been carried out."""

    def good(self) -> bytes:
        """The body of a success. Raises the error that anything else means."""
        if self.status < _REFUSED:
            return self.body
        raise self.error

    def read(self, kind: type[T]) -> T:
        """Decode the body of a success. Raises the error that anything else means."""
        body = self.good()
        try:
            return decode_json(body, kind)
        except msgspec.DecodeError as error:
            raise Unavailable(f"{self.cluster}: its answer about {self.call.target} cannot be read: {error}") from None

    @property
    def error(self) -> LivecalcError:
        """What a failure means."""
        said = failures.read_status(self.body)
        about = self.call.about or self.call.target
        return failures.meaning(self.cluster, self.call.verb, about, self.status, said)

    @property
    def moment(self) -> datetime:
        """When the server answered, by its own clock, in whole seconds. Raises Unavailable where it does not say."""
        try:
            return parsedate_to_datetime(self.date)
        except ValueError:
            raise Unavailable(f"{self.cluster}: its answer has no date; is it an API server?") from None


class _Try(Struct, frozen=True, kw_only=True):
    """What became of one try: a response or a failure."""

    response: aiohttp.ClientResponse | None = None
    failure: Exception | None = None

    @property
    def final(self) -> bool:
        return self.response is not None and self.response.status not in RETRIED

    @property
    def wish(self) -> float | None:
        return None if self.response is None else wish_of(self.response.headers.get("Retry-After"))

    @property
    def doubtful(self) -> bool:
        """Whether it may have been carried out."""
        if self.response is not None:
            return self.response.status >= FAILING
        return self.failure is not None and was_sent(self.failure)


class _Once:
    """Keeps aiohttp from sending a DELETE again by itself when a connection was lost: then nobody would know of it."""

    def __init__(self) -> None:
        self._sent = False

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._sent:
            raise aiohttp.ServerDisconnectedError
        self._sent = True
        return await handler(request)


class Api:
    """A client of one API server."""

    def __init__(self, link: Link, patience: Patience | None = None, *, page: int = _PAGE) -> None:
        self._link = link
        self._patience = patience or Patience()
        self.page = page
        """How many objects of a list to ask for at once."""

    @property
    def cluster(self) -> str:
        """What people call the cluster."""
        return self._link.name

    async def send(self, call: Call) -> Answer:
        """Ask, and read the whole answer. Raises Unavailable when none comes."""
        response, doubtful = await self._ask(call, whole=True)
        return await self._answer(call, response, doubtful=doubtful)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncGenerator[aiohttp.StreamReader, None]:
        """Open an answer that is read as it comes, and may be silent for as long as it likes.

        Raises TimeoutError when it does not begin in time, Unavailable, and whatever else a failure means.
        """
        response, _ = await self._ask(call, whole=False)
        try:
            if response.status >= _REFUSED:
                raise (await self._answer(call, response, doubtful=False)).error
            yield response.content
        finally:
            response.close()

    async def close(self) -> None:
        """Let go of connections."""
        await self._link.close()

    async def _ask(self, call: Call, *, whole: bool) -> tuple[aiohttp.ClientResponse, bool]:
        """Send until an answer comes that another try would not better; and whether an earlier one is in doubt."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._patience.whole
        again, doubtful = 0, False
        while True:
            again += 1
            tried = await self._try(call, end, whole=whole)
            pause = self._patience.before(again, tried.wish)
            if tried.final or again >= self._patience.tries or clock() + pause >= end:
                break
            doubtful = doubtful or tried.doubtful
            await asyncio.sleep(pause)
        if tried.response is not None:
            return tried.response, doubtful
        if isinstance(tried.failure, TimeoutError) and not whole:
            raise tried.failure
        why = words(tried.failure) if tried.failure else ""
        raise Unavailable(f"{self.cluster}: cannot {call.verb} {call.target}: it does not answer ({why})")

    async def _try(self, call: Call, end: float, *, whole: bool) -> _Try:
        response = None
        try:
            async with asyncio.timeout_at(end):
                response = await self._once(call, whole=whole)
                if whole or response.status >= _REFUSED:
                    await response.read()
        except _FAILURES as error:
            if response is not None:
                response.close()
            return _Try(failure=error)
        return _Try(response=response)

    async def _once(self, call: Call, *, whole: bool) -> aiohttp.ClientResponse:
        """Send once; a second time where the credentials were refused and there are others by now."""
        credentials = await self._link.credentials()
        response = await self._send(call, credentials, whole=whole)
        if response.status == failures.UNAUTHORIZED and await self._link.renew(credentials):
            response.close()
            response = await self._send(call, await self._link.credentials(), whole=whole)
        return response

    async def _send(self, call: Call, credentials: Mapping[str, str], *, whole: bool) -> aiohttp.ClientResponse:
        asked = f"?{urlencode(call.query)}" if call.query else ""
        headers = {"Accept": "application/json", "Content-Type": _TYPES.get(call.verb, "application/json")}
        return await self._link.session.request(
            _METHODS[call.verb],
            f"{self._link.host}{call.target.path}{asked}",
            data=None if call.body is None else msgspec.json.encode(call.body),
            headers={**headers, **credentials},
            timeout=self._patience.timeout if whole else self._patience.timeout_of_stream,
            allow_redirects=False,
            proxy=self._link.proxy,
            server_hostname=self._link.server_hostname,
            middlewares=(_Once(),) if call.verb == "delete" else (),
        )

    async def _answer(self, call: Call, response: aiohttp.ClientResponse, *, doubtful: bool) -> Answer:
        return Answer(
            cluster=self.cluster,
            call=call,
            status=response.status,
            body=await response.read(),
            date=response.headers.get("Date", ""),
            doubtful=doubtful,
        )
