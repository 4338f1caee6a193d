"""Ask again and again, soon at first and less often later, until it is time to give up."""

import asyncio
from collections.abc import AsyncGenerator

_FIRST = 0.01
_LONGEST = 1.0
_GROWTH = 1.5


async def pauses(seconds: float) -> AsyncGenerator[None, None]:
    """Yield at once, and again after growing pauses until `seconds` have passed; the last time at the very end."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    pause = _FIRST
    yield
    while (left := end - loop.time()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(pause * _GROWTH, _LONGEST)
        yield
