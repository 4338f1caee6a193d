"""One HTTP request and its response, between a caller's thread and an ASGI application in a loop's thread.

Nothing is buffered whole: the application asks for the next chunk of the request, and at most a few chunks of the
response wait for the caller. Events go to the caller through one queue, in order.
"""

import asyncio
import queue
from collections.abc import Iterator
from typing import Any, cast

import httpx
from msgspec import Struct
from starlette.types import ASGIApp, Message, Scope

_WINDOW = 4
"""Chunks of a response that may wait for the caller."""
_DISCONNECT: Message = {"type": "http.disconnect"}


class Wanted(Struct, frozen=True):
    """The application waits for the request's next chunk."""


class Started(Struct, frozen=True):
    """The response has begun."""

    status: int
    headers: list[tuple[bytes, bytes]]


class Chunk(Struct, frozen=True):
    """A part of the response's body."""

    data: bytes


class Ended(Struct, frozen=True):
    """The response is whole."""


class Failed(Struct, frozen=True):
    """There will be no more of the response."""

    error: BaseException | None


Event = Wanted | Started | Chunk | Ended | Failed


class ClientGone(OSError):
    """What an application gets that sends to a caller who has left."""


class Exchange:
    """The caller's half: hands out the request's body, takes the response's events."""

    def __init__(self, request: httpx.Request, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._body = _chunks(request)
        self._timeout = _read_timeout(request)
        known = b"".join(self._body) if isinstance(request.stream, httpx.ByteStream) else None
        self.application = _Application(_scope(request), self._inbox, known)

    def next_event(self) -> Started | Chunk | Ended:
        """Wait for the next event. Raises RemoteProtocolError when the application failed, ReadTimeout."""
        while True:
            try:
                event = self._inbox.get(timeout=self._timeout)
            except queue.Empty:
                raise httpx.ReadTimeout(f"no answer within {self._timeout:g} s") from None
            if isinstance(event, Wanted):
                self._feed()
            elif isinstance(event, Failed):
                raise httpx.RemoteProtocolError("the application ended before its response was whole") from event.error
            else:
                if isinstance(event, Chunk):
                    self._tell(self.application.taken)
                return event

    def disconnect(self) -> None:
        """Tell the application that nobody reads on."""
        self._tell(self.application.disconnect)

    def _feed(self) -> None:
        chunk = next(self._body, None)
        message = {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}
        self._tell(self.application.feed, message)

    def _tell(self, action: Any, *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(action, *arguments)
        except RuntimeError:
            # The loop is closed, and with it the application; its last event is in the inbox.
            return


class _Application:
    """The loop's half: ASGI's receive and send. Everything here runs in the loop's thread."""

    def __init__(self, scope: Scope, inbox: "queue.SimpleQueue[Event]", known: bytes | None) -> None:
        self._scope = scope
        self._inbox = inbox
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._window = asyncio.Semaphore(_WINDOW)
        self._gone = asyncio.Event()
        self._asked = known is not None
        self._request_whole = False
        self._started = False
        self._ended = False
        if known is not None:
            self.feed({"type": "http.request", "body": known, "more_body": False})

    async def run(self, app: ASGIApp) -> None:
        """Call the application; the caller always gets a last event."""
        error: BaseException | None = None
        try:
            await app(self._scope, self._receive, self._send)
        except Exception as caught:  # noqa: BLE001  (any bug of the application is the caller's failed response)
            error = caught
        except BaseException as caught:
            error = caught
            raise
        finally:
            self._gone.set()
            if not self._started:
                await self._answer_500(error)
            if not self._ended:
                self._inbox.put(Failed(error))

    async def _answer_500(self, error: BaseException | None) -> None:
        # As a server does; a cancelled application answers nothing.
        if error is None or isinstance(error, Exception):
            self._started = self._ended = True
            self._inbox.put(Started(500, [(b"content-type", b"text/plain; charset=utf-8")]))
            self._inbox.put(Chunk(b"Internal Server Error"))
            self._inbox.put(Ended())

    def feed(self, message: Message) -> None:
        """Take a part of the request from the caller."""
        self._incoming.put_nowait(message)

    def taken(self) -> None:
        """Take note that the caller has taken a chunk."""
        self._window.release()

    def disconnect(self) -> None:
        """Take note that the caller has left; wake whatever waits for him."""
        self._gone.set()
        self._incoming.put_nowait(_DISCONNECT)
        self._window.release()

    async def _receive(self) -> Message:
        if self._request_whole or self._gone.is_set():
            await self._gone.wait()
            return _DISCONNECT
        if not self._asked:
            self._asked = True
            self._inbox.put(Wanted())
        message = await self._incoming.get()
        self._asked = False
        self._request_whole = not message.get("more_body", False)
        return message

    async def _send(self, message: Message) -> None:
        if self._gone.is_set():
            raise ClientGone("the caller has left")
        if message["type"] == "http.response.start":
            self._started = True
            headers = cast("list[tuple[bytes, bytes]]", list(message.get("headers", [])))
            self._inbox.put(Started(message["status"], headers))
        elif message["type"] == "http.response.body":
            await self._send_body(message.get("body", b""), more=message.get("more_body", False))

    async def _send_body(self, body: bytes | memoryview, *, more: bool) -> None:
        if body and self._scope["method"] != "HEAD":
            await self._window.acquire()
            if self._gone.is_set():
                self._window.release()
                raise ClientGone("the caller has left")
            self._inbox.put(Chunk(bytes(body)))
        if not more:
            self._ended = True
            self._gone.set()
            self._inbox.put(Ended())


def _chunks(request: httpx.Request) -> Iterator[bytes]:
    stream = request.stream
    if not isinstance(stream, httpx.SyncByteStream):
        raise TypeError("an asynchronous request body cannot be sent by a synchronous client")
    return (chunk for chunk in stream if chunk)


def _read_timeout(request: httpx.Request) -> float | None:
    timeouts = cast("dict[str, float | None]", request.extensions.get("timeout", {}))
    return timeouts.get("read")


def _scope(request: httpx.Request) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": None,
        "root_path": "",
        "state": {},
    }
