"""Responses that go on for as long as their source does: logs, events, blobs, tables."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import cast

import anyio
import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from livecalc.domain.errors import LivecalcError
from livecalc.wire import media
from livecalc.wire.jobs import Job

_PATIENCE = 1.0
"""Seconds that the response's start waits for the first bytes: an error within them is still a problem."""
_KEEP_ALIVE = 15.0
"""Seconds between the comments that keep an event stream open through proxies."""
_COMMENT = b": keep-alive\n\n"


class Stream(Response):
    """Sends what a generator yields, as it comes; ends it as soon as the caller leaves or the server stops.

    An error after the start leaves the response incomplete, which a client can tell from its end; where the format has
    a place for it, `last_words` make of the error what is sent before.
    """

    def __init__(  # noqa: PLR0913  (what a response has)
        self,
        chunks: AsyncIterator[bytes],
        media_type: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        stopping: asyncio.Event | None = None,
        cleanup: Callable[[], None] = lambda: None,
        last_words: Callable[[LivecalcError], bytes] = lambda _: b"",
    ) -> None:
        self._chunks = chunks
        self._stopping = stopping
        self._cleanup = cleanup
        self._last_words = last_words
        self.status_code = status
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response. Raises what the source raises, and ClientDisconnect when the caller has left."""
        start: Message = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        delivery = _Delivery(send, start)
        try:
            if scope["method"] == "HEAD":
                await delivery.end()
            else:
                await self._deliver(delivery, receive)
        except BaseExceptionGroup as errors:
            if errors.split(ClientDisconnect)[1] is None:
                raise ClientDisconnect from None
            raise
        finally:
            self._cleanup()

    async def _deliver(self, delivery: "_Delivery", receive: Receive) -> None:
        source = cast("AsyncGenerator[bytes, None]", self._chunks)
        async with aclosing(source) as chunks, anyio.create_task_group() as group:
            group.start_soon(_until_gone, receive, group.cancel_scope)
            group.start_soon(self._tick, delivery)
            if self._stopping is not None:
                group.start_soon(self._until_stopping, self._stopping, delivery, group.cancel_scope)
            try:
                async for chunk in chunks:
                    await delivery.write(chunk)
            except LivecalcError as error:
                await delivery.add(self._last_words(error))
                raise
            await delivery.end()
            group.cancel_scope.cancel()

    async def _tick(self, delivery: "_Delivery") -> None:
        await anyio.sleep(_PATIENCE)
        await delivery.write(b"")

    async def _until_stopping(self, stopping: asyncio.Event, delivery: "_Delivery", scope: anyio.CancelScope) -> None:
        del delivery
        await stopping.wait()
        scope.cancel()


class EventStream(Stream):
    """Server-sent events: one `job` event for each state, to the last. A server that stops ends it early."""

    def __init__(self, jobs: AsyncIterator[Job], *, stopping: asyncio.Event) -> None:
        super().__init__(_events(jobs), media.EVENTS, headers={"X-Accel-Buffering": "no"}, stopping=stopping)

    async def _tick(self, delivery: "_Delivery") -> None:
        await super()._tick(delivery)
        while True:
            await anyio.sleep(_KEEP_ALIVE)
            await delivery.write(_COMMENT)

    async def _until_stopping(self, stopping: asyncio.Event, delivery: "_Delivery", scope: anyio.CancelScope) -> None:
        await stopping.wait()
        await delivery.end()
        scope.cancel()


class _Delivery:
    """Sends a response's start before its first bytes; two tasks write, one at a time."""

    def __init__(self, send: Send, start: Message) -> None:
        self._send = send
        self._start = start
        self._lock = anyio.Lock()
        self._begun = False
        self._whole = False

    async def write(self, chunk: bytes) -> None:
        async with self._lock:
            await self._begin()
            if chunk and not self._whole:
                await self._pass({"type": "http.response.body", "body": chunk, "more_body": True})

    async def add(self, chunk: bytes) -> None:
        """Write to a response that has begun; one that has not can still become another."""
        async with self._lock:
            begun = self._begun
        if begun:
            await self.write(chunk)

    async def end(self) -> None:
        async with self._lock:
            await self._begin()
            if not self._whole:
                self._whole = True
                await self._pass({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            await self._pass(self._start)

    async def _pass(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:  # what a server raises for a caller who has left
            raise ClientDisconnect from None


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _events(jobs: AsyncIterator[Job]) -> AsyncGenerator[bytes, None]:
    async with aclosing(cast("AsyncGenerator[Job, None]", jobs)) as states:
        async for job in states:
            yield b"event: job\ndata: " + msgspec.json.encode(job) + b"\n\n"
