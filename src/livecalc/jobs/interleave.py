"""Several logs at once, as they are printed: whole lines, each after the name of its pod (`kubectl logs --prefix`)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from livecalc.blobs.streams import closing

Log = tuple[str, AsyncIterator[bytes]]
"""A pod's name, and what it prints."""
_LONGEST = 64 << 10
"""Bytes of a line; the rest of one that is longer counts as another."""
_WAITING = 16
"""Pieces that a slow reader lets wait."""


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
    async with closing(log):
        async for chunk in log:
            *whole, begun = (begun + chunk).split(b"\n")
            if len(begun) > _LONGEST:
                whole, begun = [*whole, begun], b""
            if whole:
                await pieces.put(b"".join(head + line + b"\n" for line in whole))
    if begun:
        await pieces.put(head + begun + b"\n")
