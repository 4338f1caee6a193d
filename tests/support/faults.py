"""A proxy between a program and a blob service, that breaks what goes through it as a test says.

It speaks plain HTTP/1.1, one exchange for each connection, and changes no byte of what it passes on.
"""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from livecalc.blobs.azure.connect import connect
from livecalc.blobs.azure.retry import Patience
from livecalc.blobs.azure.store import AzureStore

_LONGEST_HEAD = 64 << 10
_PIECE = 64 << 10
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
_ENDPOINT = re.compile(r"BlobEndpoint=http://([^/;:]+):(\d+)")


class Fault(Struct, frozen=True, kw_only=True):
    """What is done to one exchange."""

    status: int = 0
    """Answered in the service's place, which hears nothing of the request."""
    retry_after: str = ""
    headers: tuple[str, ...] = ()
    body: bytes = b""
    """Of the answer in the service's place, besides `Retry-After`."""
    request_bytes: int | None = None
    """So many bytes of the request's body reach the service, then the connection is cut."""
    answer_bytes: int | None = None
    """So many bytes of the answer's body come back, then the connection is cut."""
    answer_lost: bool = False
    """The service does what was asked, and nothing of its answer comes back."""
    bytes_per_second: int = 0
    """Both ways; 0 is as fast as it goes."""


class Request(Struct, frozen=True, kw_only=True):
    """One request, as far as tests choose by it."""

    number: int
    """From 1."""
    method: str
    path: str
    """Decoded, without the account."""
    query: str
    size: int

    @property
    def is_commit(self) -> bool:
        """Whether it makes a blob visible."""
        commits = "comp=blocklist" in self.query or not ("comp=" in self.query or "restype=" in self.query)
        return self.method == "PUT" and commits and self.path.count("/") > 0


Choose = Callable[[Request], Fault | None]


class Proxy:
    """Counts requests and asks `choose` for the fault of each; `choose` may be replaced at any time."""

    def __init__(self, host: str, port: int, connection_string: str) -> None:
        self._host = host
        self._port = port
        self._upstream = connection_string
        self.connection_string = ""
        """What leads through this proxy."""
        self.choose: Choose = lambda _: None
        self.seen: list[Request] = []
        self.faults: list[Fault] = []
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LONGEST_HEAD)
        port = server.sockets[0].getsockname()[1]
        self.connection_string = _ENDPOINT.sub(f"BlobEndpoint=http://127.0.0.1:{port}", self._upstream)
        return server

    async def finish(self) -> None:
        """Cut what is still open, and see it end."""
        for task, writer in self._open.items():
            writer.transport.abort()
            task.cancel()  # one that crawls would go on with what it has read
        if self._open:
            await asyncio.wait(self._open)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            request = self._note(head)
            fault = self.choose(request) or Fault()
            if fault != Fault():
                self.faults.append(fault)
            await _exchange(self, _Exchange(head, request, fault, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # a client that went away, or a connection that was cut on purpose
        finally:
            await _close(writer)
            del self._open[task]

    def _note(self, head: bytes) -> Request:
        method, target, _ = head.split(b" ", 2)
        parts = urlsplit(target.decode())
        length = _LENGTH.search(head)
        request = Request(
            number=len(self.seen) + 1,
            method=method.decode(),
            path=unquote(parts.path).lstrip("/").partition("/")[2],
            query=parts.query,
            size=int(length[1]) if length else 0,
        )
        self.seen.append(request)
        return request

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._port)


class _Exchange(Struct, frozen=True):
    head: bytes
    request: Request
    fault: Fault
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@asynccontextmanager
async def faulty(connection_string: str, choose: Choose | None = None) -> AsyncGenerator[Proxy]:
    """Listen in front of the service that a connection string names."""
    endpoint = _ENDPOINT.search(connection_string)
    assert endpoint is not None
    proxy = Proxy(endpoint[1], int(endpoint[2]), connection_string)
    if choose is not None:
        proxy.choose = choose
    server = await proxy.listen()
    try:
        yield proxy
    finally:
        server.close()
        await proxy.finish()
        await server.wait_closed()


@asynccontextmanager
async def hasty(connection_string: str) -> AsyncGenerator[AzureStore]:
    """Open the account as `connect` does, with pauses of a hundredth of a second where the service asks for none."""
    async with connect(connection_string=connection_string, retry=Haste()) as store:
        yield store


class Haste(Patience):
    """The platform's patience, with short pauses."""

    def __init__(self) -> None:
        super().__init__()
        self.backoff_factor = 0.005


def weather(seed: int, share: float) -> Choose:
    """Break a share of all requests, each in a way chosen by chance."""
    chance = random.Random(seed)  # noqa: S311  (a choice of tests)

    def choose(request: Request) -> Fault | None:
        if chance.random() >= share:
            return None
        return chance.choice(
            [
                Fault(status=chance.choice([500, 502, 503, 504])),
                Fault(status=429, retry_after="0"),
                Fault(status=503, retry_after="0"),
                Fault(request_bytes=chance.randrange(max(1, request.size))),
                Fault(answer_bytes=chance.randrange(1, 400)),
                Fault(answer_lost=True),
            ]
        )

    return choose


async def _exchange(proxy: Proxy, exchange: _Exchange) -> None:
    fault, reader, writer = exchange.fault, exchange.reader, exchange.writer
    if fault.status:
        await _swallow(reader, exchange.request.size)
        pause = (f"Retry-After: {fault.retry_after}",) if fault.retry_after else ()
        body = b"" if exchange.request.method == "HEAD" else fault.body
        about = (*pause, *fault.headers, f"Content-Length: {len(fault.body)}", "Connection: close", "", "")
        writer.write("\r\n".join([f"HTTP/1.1 {fault.status} Fault", *about]).encode() + body)
        await writer.drain()
        return
    upstream, service = await proxy.connect()
    try:
        service.write(_CONNECTION.sub(b"", exchange.head).removesuffix(b"\r\n") + b"Connection: close\r\n\r\n")
        wanted = exchange.request.size if fault.request_bytes is None else fault.request_bytes
        sent = await _relay(reader, service, min(wanted, exchange.request.size), fault.bytes_per_second)
        if sent < min(wanted, exchange.request.size):
            raise ConnectionAbortedError("the client went away within its body")
        if fault.request_bytes is not None:
            service.transport.abort()
            writer.transport.abort()
            return
        await _answer(upstream, writer, fault)
    finally:
        await _close(service)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def _answer(upstream: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault) -> None:
    head = await upstream.readuntil(b"\r\n\r\n")
    if fault.answer_lost:
        await upstream.read()
        writer.transport.abort()
        return
    writer.write(head)
    await _relay(upstream, writer, fault.answer_bytes, fault.bytes_per_second)
    if fault.answer_bytes is not None:
        await upstream.read()
        writer.transport.abort()


async def _relay(source: asyncio.StreamReader, target: asyncio.StreamWriter, most: int | None, rate: int) -> int:
    """Pass on so many bytes, or all there are; returns how many."""
    left, passed = most, 0
    piece = max(1, rate // 20) if rate else _PIECE
    while left is None or left > 0:
        data = await source.read(piece if left is None else min(piece, left))
        if not data:
            break
        target.write(data)
        await target.drain()
        passed += len(data)
        left = None if left is None else left - len(data)
        if rate:
            await asyncio.sleep(len(data) / rate)
    return passed


async def _swallow(source: asyncio.StreamReader, size: int) -> None:
    while size > 0:
        data = await source.read(min(_PIECE, size))
        if not data:
            return
        size -= len(data)
