"""Wait for a condition; never for a time."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def eventually(probe: Callable[[], Awaitable[T]], *, within: float = 20.0, every: float = 0.02) -> T:
    """Call `probe` until it answers something true, and return that; fail loudly after `within` seconds."""
    end = time.monotonic() + within
    while True:
        answer = await probe()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{probe} did not hold within {within:g} s; its last answer was {answer!r}")
        await anyio.sleep(every)
