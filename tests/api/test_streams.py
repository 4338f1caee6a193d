"""Streams: errors before the first byte are problems, leaving is noticed, a stopping server ends what would go on."""

import asyncio
import threading
from collections.abc import AsyncGenerator

import httpx
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from support.asgi import behind_the_door, serving
from support.wire import make_job

from livecalc.api.problems import problem_line
from livecalc.api.streams import EventStream, Stream
from livecalc.client.http import Http
from livecalc.domain.errors import Damaged, NotFound, Unavailable
from livecalc.wire import media
from livecalc.wire.jobs import Job

CLOSED = "closed"


class Source:
    """What a stream reads; it notes when it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.stopping = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.cleaned = threading.Event()

    async def fails_first(self) -> AsyncGenerator[bytes, None]:
        raise NotFound("there is no such log")
        yield b""

    async def fails_later(self) -> AsyncGenerator[bytes, None]:
        yield b"some"
        raise Damaged("the blob is damaged")

    async def lines(self) -> AsyncGenerator[bytes, None]:
        yield b'"one"\n'
        raise Unavailable("the store is down")

    async def no_lines(self) -> AsyncGenerator[bytes, None]:
        raise Unavailable("the store is down")
        yield b""

    async def silent(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            self.closed.set()

    async def mute(self) -> AsyncGenerator[bytes, None]:
        try:
            await asyncio.Event().wait()
            yield b""
        finally:
            self.closed.set()

    async def jobs(self) -> AsyncGenerator[Job, None]:
        try:
            yield make_job("running", 3, "two\u2028lines")
            await asyncio.Event().wait()
        finally:
            self.closed.set()

    async def finished(self) -> AsyncGenerator[Job, None]:
        yield make_job("running", 3, "two\u2028lines")
        yield make_job("succeeded", 10)

    async def serve(self, request: Request) -> Response:
        self.loop = asyncio.get_running_loop()
        what = request.url.path.strip("/")
        if what in {"jobs", "finished"}:
            return EventStream(getattr(self, what)(), stopping=self.stopping)
        if what.endswith("lines"):
            chunks = self.lines() if what == "lines" else self.no_lines()
            return Stream(chunks, media.LINES, last_words=lambda error: problem_line("/lines", error))
        return Stream(getattr(self, what)(), media.TEXT, stopping=self.stopping, cleanup=self.cleaned.set)

    def stop(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.stopping.set)


def test_an_error_before_the_first_byte_is_a_problem() -> None:
    with serving(behind_the_door(Source().serve)) as client:
        answer = client.get("/fails_first")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "there is no such log"


def test_an_error_in_the_middle_leaves_the_answer_incomplete() -> None:
    with serving(behind_the_door(Source().serve)) as client, client.stream("GET", "/fails_later") as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()


def test_what_breaks_lines_off_is_the_last_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with serving(behind_the_door(Source().serve)) as client:
        found: list[str] = []
        with pytest.raises(Unavailable, match="the store is down"):
            found.extend(Http(client, "test").lines("/lines", str))
        assert client.get("/no_lines").json()["detail"] == "the store is down"
    assert found == ["one"]
    told = [record for record in caplog.records if "broke off" in record.message]
    assert [(each.levelname, each.message.partition(" ")[2]) for each in told] == [
        ("WARNING", "broke off: the store is down")
    ]


def test_leaving_closes_a_silent_source() -> None:
    source = Source()
    with serving(behind_the_door(source.serve)) as client:
        with client.stream("GET", "/silent") as answer:
            assert next(answer.iter_raw()) == b"first"
        assert source.closed.wait(10)
        assert source.cleaned.wait(10)


def test_a_source_without_a_word_has_headers_soon() -> None:
    source = Source()
    with serving(behind_the_door(source.serve)) as client:
        with client.stream("GET", "/mute", timeout=5) as answer:
            assert answer.status_code == 200
        assert source.closed.wait(10)


def test_a_stopping_server_breaks_off_a_log() -> None:
    source = Source()
    with serving(behind_the_door(source.serve)) as client, client.stream("GET", "/silent") as answer:
        chunks = answer.iter_raw()
        assert next(chunks) == b"first"
        source.stop()
        with pytest.raises(httpx.RemoteProtocolError):
            next(chunks)
        assert source.closed.wait(10)


def test_a_stopping_server_ends_events() -> None:
    source = Source()
    with serving(behind_the_door(source.serve)) as client, client.stream("GET", "/jobs") as answer:
        chunks = answer.iter_raw()
        assert b'"state":"running"' in next(chunks)
        source.stop()
        assert list(chunks) == []
        assert source.closed.wait(10)


def test_events_end_with_the_last_state() -> None:
    with serving(behind_the_door(Source().serve)) as client:
        answer = client.get("/finished")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = answer.content.split(b"\n\n")
    assert len(events) == 3
    assert events[1].startswith(b'event: job\ndata: {"job_id"')


def test_head_reads_nothing() -> None:
    source = Source()
    with serving(behind_the_door(source.serve)) as client:
        answer = client.head("/mute")
        assert (answer.status_code, answer.content) == (200, b"")
        assert source.cleaned.wait(10)


async def _hears_nothing() -> dict[str, str]:
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}


async def _endless() -> AsyncGenerator[bytes, None]:
    while True:
        yield b"x" * 1024


@pytest.mark.anyio
async def test_a_caller_who_leaves_while_bytes_are_sent_is_no_failure() -> None:
    sent = 0

    async def send(_message: object) -> None:
        nonlocal sent
        sent += 1
        if sent > 2:
            raise OSError("the caller has left")

    with pytest.raises(ClientDisconnect):
        await Stream(_endless(), media.TEXT)({"type": "http", "method": "GET"}, _hears_nothing, send)
