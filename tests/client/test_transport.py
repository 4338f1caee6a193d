"""The in-process transport against a small ASGI application: a server's behaviour, and nothing buffered."""

import asyncio
import gc
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from livecalc.embedded.transport import InProcessTransport

CHUNK = b"x" * 65536


class Application:
    """What the tests talk to; it notes what happened to it."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.noted = threading.Condition()
        self.sent = 0
        self.received = 0
        self.go = threading.Event()

    def note(self, text: str) -> None:
        with self.noted:
            self.notes.append(text)
            self.noted.notify_all()

    def wait_for(self, text: str) -> None:
        with self.noted:
            assert self.noted.wait_for(lambda: text in self.notes, 10), (text, self.notes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        try:
            await getattr(self, scope["path"].strip("/"))(scope, receive, send)
        except asyncio.CancelledError:
            self.note("cancelled")
            raise

    async def live(self, receive: Receive, send: Send) -> None:
        for phase in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{phase}"
            self.note(phase)
            await send({"type": f"lifespan.{phase}.complete"})

    async def echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await send(start(200, (b"x-kind", b"echo")))
        more = True
        while more:
            message = await receive()
            self.received += len(message["body"])
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    async def refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send(start(401))
        await send({"type": "http.response.body", "body": b"no"})

    async def drip(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send(start(200))
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await asyncio.to_thread(self.go.wait, 10)
        await send({"type": "http.response.body", "body": b"second", "more_body": True})
        await send({"type": "http.response.body"})

    async def flood(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send(start(200))
        try:
            while True:
                await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
                self.sent += 1
        except OSError:
            self.note("flood ended")

    async def wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        message = await receive()
        assert message["type"] == "http.request"
        await send(start(200))
        await send({"type": "http.response.body", "body": b"here", "more_body": True})
        message = await receive()
        self.note(message["type"])

    async def hang(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        self.note("hanging")
        await asyncio.Event().wait()

    async def crash(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        raise RuntimeError("a bug")

    async def crash_later(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send(start(200))
        await send({"type": "http.response.body", "body": b"some", "more_body": True})
        raise RuntimeError("a bug")


def start(status: int, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


@asynccontextmanager
async def opened(app: Application) -> AsyncGenerator[Application, None]:
    app.note("open")
    yield app
    app.note("close")


@pytest.fixture
def app() -> Application:
    return Application()


@pytest.fixture
def client(app: Application) -> Iterator[httpx.Client]:
    with httpx.Client(transport=InProcessTransport(lambda: opened(app)), base_url="http://livecalc") as client:
        yield client


def test_echo_of_a_small_body(client: httpx.Client) -> None:
    answer = client.post("/echo", content=b"hello")
    assert (answer.status_code, answer.content, answer.headers["x-kind"]) == (200, b"hello", "echo")


def test_large_bodies_stream_both_ways_at_once(client: httpx.Client, app: Application) -> None:
    """The application answers while it reads: neither side may hold the whole, nor wait for the other for ever."""
    produced = 0

    def produce() -> Iterator[bytes]:
        nonlocal produced
        for _ in range(400):
            produced += 1
            yield CHUNK

    total = 0
    with client.stream("POST", "/echo", content=produce()) as answer:
        assert produced < 10
        for chunk in answer.iter_raw():
            total += len(chunk)
            assert produced * len(CHUNK) - total < 16 * len(CHUNK)
    assert total == app.received == 400 * len(CHUNK)


def test_a_refusal_before_the_body_was_read(client: httpx.Client) -> None:
    produced = 0

    def produce() -> Iterator[bytes]:
        nonlocal produced
        while True:
            produced += 1
            yield CHUNK

    answer = client.post("/refuse", content=produce())
    assert (answer.status_code, answer.content) == (401, b"no")
    assert produced == 0


def test_chunks_arrive_as_they_are_sent(client: httpx.Client, app: Application) -> None:
    with client.stream("GET", "/drip") as answer:
        chunks = answer.iter_raw()
        assert next(chunks) == b"first"
        app.go.set()
        assert list(chunks) == [b"second"]


def test_a_slow_reader_holds_the_application_back(client: httpx.Client, app: Application) -> None:
    with client.stream("GET", "/flood") as answer:
        chunks = answer.iter_raw()
        for _ in range(10):
            next(chunks)
        assert app.sent <= 16
    app.wait_for("flood ended")


def test_leaving_is_noticed_by_one_who_waits(client: httpx.Client, app: Application) -> None:
    with client.stream("GET", "/wait") as answer:
        assert next(answer.iter_raw()) == b"here"
    app.wait_for("http.disconnect")


def test_a_crash_before_the_response_is_500(client: httpx.Client) -> None:
    answer = client.get("/crash")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")


def test_a_crash_in_the_middle_is_an_incomplete_response(client: httpx.Client) -> None:
    with client.stream("GET", "/crash_later") as answer, pytest.raises(httpx.RemoteProtocolError) as caught:
        answer.read()
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_body_that_cannot_be_read_is_the_callers_error(client: httpx.Client) -> None:
    def produce() -> Iterator[bytes]:
        yield b"x"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        client.post("/echo", content=produce()).read()


def test_head_has_no_body(client: httpx.Client, app: Application) -> None:
    app.go.set()
    assert client.head("/drip").content == b""


def test_read_timeout_is_kept(client: httpx.Client, app: Application) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.get("/hang", timeout=0.05)
    app.wait_for("hanging")


def test_many_threads_at_once(client: httpx.Client) -> None:
    answers: list[bytes] = []

    def ask(number: int) -> None:
        answers.extend(client.post("/echo", content=f"{number}.{each}".encode()).content for each in range(20))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 160


def test_closing_cancels_what_runs_and_closes_the_application(app: Application) -> None:
    transport = InProcessTransport(lambda: opened(app))
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            transport.handle_request(httpx.Request("GET", "http://livecalc/hang"))
        except httpx.HTTPError as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    app.wait_for("hanging")
    transport.close()
    transport.close()
    thread.join(10)
    assert isinstance(failures[0], httpx.RemoteProtocolError)
    assert app.notes == ["open", "startup", "hanging", "cancelled", "shutdown", "close"]
    with pytest.raises(httpx.ConnectError):
        transport.handle_request(httpx.Request("GET", "http://livecalc/echo"))


def test_what_opening_raises_is_raised_to_the_caller() -> None:
    @asynccontextmanager
    async def broken() -> AsyncGenerator[Application, None]:
        raise LookupError("the home is of an unknown version")
        yield Application()

    with pytest.raises(LookupError, match="unknown version"):
        InProcessTransport(broken)


def test_what_closing_raises_is_raised_to_the_caller(app: Application) -> None:
    @asynccontextmanager
    async def stubborn() -> AsyncGenerator[Application, None]:
        yield app
        raise LookupError("cannot close")

    transport = InProcessTransport(stubborn)
    with pytest.raises(LookupError, match="cannot close"):
        transport.close()


def test_an_application_that_does_not_start(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})
        raise LookupError("no")

    @asynccontextmanager
    async def opened() -> AsyncGenerator[object, None]:
        yield app

    with caplog.at_level(logging.DEBUG), pytest.raises(LookupError):
        InProcessTransport(opened)  # type: ignore[arg-type]


def test_a_transport_that_nobody_holds_is_closed(app: Application) -> None:
    transport = InProcessTransport(lambda: opened(app))
    transport.handle_request(httpx.Request("GET", "http://livecalc/refuse")).read()
    del transport
    gc.collect()
    app.wait_for("close")


SCRIPT = """
import asyncio, httpx
from contextlib import asynccontextmanager
from livecalc.embedded.transport import InProcessTransport

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        print("shut down", flush=True)
        return
    await send({"type": "http.response.start", "status": 200})
    while True:
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        if scope["path"] == "/once":
            print("waiting", flush=True)
            await asyncio.Event().wait()

@asynccontextmanager
async def opened():
    yield app
    print("closed", flush=True)

client = httpx.Client(transport=InProcessTransport(opened), base_url="http://livecalc", timeout=None)
"""


def test_a_process_that_ends_closes_it_and_does_not_hang() -> None:
    script = (
        SCRIPT
        + """
stream = client.stream("GET", "/")
response = stream.__enter__()
print(next(response.iter_raw()))
"""
    )
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.split("\n") == ["b'x'", "shut down", "closed", ""]
    assert done.stderr == ""
    assert time.monotonic() - begin < 4


def test_an_interrupt_ends_a_wait_and_closes_everything() -> None:
    script = (
        SCRIPT
        + """
try:
    with client, client.stream("GET", "/once") as response:
        for chunk in response.iter_raw():
            pass
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[0].splitlines() == ["shut down", "closed", "interrupted"]
        assert process.returncode == 0
