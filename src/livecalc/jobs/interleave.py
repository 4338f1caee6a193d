"""Several logs at once, as they are printed: whole lines, each after the name of its pod (`kubectl logs --prefix`)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from livecalc.blobs.streams import closing

Log = tuple[str, AsyncIterator[bytes]]
"""A pod's name, and what it prints."""
_LONGEST = 64 << 10
"""Bytes of a line; the rest of one that is longer counts as another."""
_SLICE = 64 << 10
"""Bytes of a log between two turns of the loop, and the most that heads add to a piece."""
_WAITING = 16
"""Pieces that a slow reader lets wait; each has at most `_LONGEST` and two times `_SLICE`."""


async def interleave(logs: AsyncIterator[Log]) -> AsyncGenerator[bytes, None]:
    """Yield the lines of all logs as they come, to the end of each. Raises what the first that fails raises."""
    pieces: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(_WAITING)
    reading = asyncio.create_task(_read_all(logs, pieces))
    try:
        while (piece := await pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece
    finally:
        reading.cancel()
        await asyncio.wait([reading])


async def _read_all(logs: AsyncIterator[Log], pieces: "asyncio.Queue[bytes | Exception | None]") -> None:
    """Read each in a task of its own; the last piece is None, or what went wrong."""
    try:
        async with asyncio.TaskGroup() as group, closing(logs):
            async for name, log in logs:
                group.create_task(_read(name, log, pieces))
    except ExceptionGroup as failed:
        await pieces.put(failed.exceptions[0])
    else:
        await pieces.put(None)


async def _read(name: str, log: AsyncIterator[bytes], pieces: "asyncio.Queue[bytes | Exception | None]") -> None:
    head, begun = f"[{name}] ".encode(), b""
    at_once = _SLICE // len(head)
    async with closing(log):
        async for chunk in log:
            for start in range(0, len(chunk), _SLICE):
                *whole, begun = (begun + chunk[start : start + _SLICE]).split(b"\n")
                if len(begun) > _LONGEST:
                    whole, begun = [*whole, begun], b""
                for first in range(0, len(whole), at_once):
                    lines = whole[first : first + at_once]
                    await pieces.put(head + (b"\n" + head).join(lines) + b"\n")
                await asyncio.sleep(0)
    if begun:
        await pieces.put(head + begun + b"\n")
