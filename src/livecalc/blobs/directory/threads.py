"""Work on files in a thread, so that the event loop never waits for a disk."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread and return what it returns.

    A cancelled caller goes on only when the thread has ended, so that nothing is closed under its hands.
    """
    import asyncio  # the grants of a worker share this package and need no event loop

    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError:
                continue
        if not running.cancelled():
            running.exception()
        raise
