"""Logs that are followed at once: whole lines, each with its pod's name, none waiting for another log."""

import asyncio
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

import anyio
import pytest

from livecalc.blobs.streams import closing
from livecalc.domain.errors import Unavailable
from livecalc.jobs.interleave import Log, interleave

pytestmark = pytest.mark.anyio
MIB = 1 << 20


async def chunks(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


async def logs(*each: Log) -> AsyncGenerator[Log, None]:
    for log in each:
        yield log


async def read(source: AsyncIterator[Log]) -> list[bytes]:
    with anyio.fail_after(20):
        return b"".join([piece async for piece in interleave(source)]).splitlines(keepends=True)


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([], []),
        ([b"a\nb\n"], [b"[p] a\n", b"[p] b\n"]),
        ([b"a", b"b\nc", b"", b"d"], [b"[p] ab\n", b"[p] cd\n"]),
        ([b"\n\n"], [b"[p] \n", b"[p] \n"]),
    ],
)
async def test_lines_have_the_name_of_their_pod(pieces: list[bytes], lines: list[bytes]) -> None:
    assert await read(logs(("p", chunks(*pieces)))) == lines


@pytest.mark.parametrize("size", [1024, MIB])
async def test_a_line_without_end_does_not_wait_for_it(size: int) -> None:
    lines = await read(logs(("p", chunks(*[b"x" * size] * (2 * MIB // size)))))
    assert all(len(line) <= (128 << 10) + 5 for line in lines)
    assert b"".join(line.removeprefix(b"[p] ").rstrip(b"\n") for line in lines) == b"x" * 2 * MIB


@pytest.mark.parametrize("line", [b"\n", b"words\n", b"x" * (64 << 10) + b"\n"], ids=["empty", "short", "longest"])
async def test_a_large_chunk_does_not_hold_up_the_loop(line: bytes) -> None:
    chunk, turns = line * (MIB // len(line)), 0

    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    working = asyncio.create_task(work())
    with anyio.fail_after(20):
        pieces = [piece async for piece in interleave(logs(("p", chunks(chunk))))]
    working.cancel()
    least, is_whole = len(chunk) >> 16, b"".join(pieces).replace(b"[p] ", b"") == chunk
    assert turns >= least
    assert is_whole


async def test_what_waits_for_a_slow_reader_is_little() -> None:
    """Chunks are as large as the ones that Azure sends, and an empty line becomes as long as its pod's name."""
    chunk = b"\n" * (4 * MIB)
    read, longest = 0, 0
    tracemalloc.start()
    try:
        async with closing(interleave(logs(("a", chunks(chunk)), ("b" * 253, chunks(chunk))))) as pieces:
            async for piece in pieces:
                read, longest = read + 1, max(longest, len(piece))
                for _ in range(40):  # all turns that reading ahead takes
                    await asyncio.sleep(0)
                if read == 40:
                    break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB
    assert longest <= 192 << 10


async def test_no_log_waits_for_another() -> None:
    """Each says something only when the other has."""
    first, second = asyncio.Event(), asyncio.Event()

    async def begins() -> AsyncGenerator[bytes, None]:
        yield b"one\n"
        await second.wait()
        yield b"three\n"

    async def answers() -> AsyncGenerator[bytes, None]:
        await first.wait()
        yield b"two\n"

    found: list[bytes] = []
    with anyio.fail_after(20):
        async for piece in interleave(logs(("a", begins()), ("b", answers()))):
            found.append(piece)
            (first if len(found) == 1 else second).set()
    assert found == [b"[a] one\n", b"[b] two\n", b"[a] three\n"]


@pytest.mark.parametrize("where", ["a log", "the list of logs"])
async def test_what_goes_wrong_is_raised_as_it_is(where: str) -> None:
    async def broken() -> AsyncGenerator[bytes, None]:
        yield b"one\n"
        raise Unavailable("the node does not answer")

    async def cut() -> AsyncGenerator[Log, None]:
        yield "a", chunks(b"one\n")
        raise Unavailable("the node does not answer")

    with pytest.raises(Unavailable, match="the node does not answer"):
        await read(cut() if where != "a log" else logs(("a", broken()), ("b", endless())))


async def test_a_reader_that_stops_early_closes_all() -> None:
    ended: list[str] = []

    async def printing(name: str) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in endless():
                yield piece
        finally:
            ended.append(name)

    async with closing(interleave(logs(("a", printing("a")), ("b", printing("b"))))) as lines:
        assert (await anext(lines)).startswith(b"[a] x")
    assert sorted(ended) == ["a", "b"]


async def test_a_reader_that_is_cancelled_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    reading = asyncio.create_task(read(logs(("a", endless()), ("b", endless()))))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading
    assert asyncio.all_tasks() == before


async def endless() -> AsyncGenerator[bytes, None]:
    while True:
        yield b"x\n"
        await asyncio.sleep(0)
