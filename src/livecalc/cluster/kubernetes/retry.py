"""Which failures may pass, and how long to wait before the next try: as long as the server asks, else by chance."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from msgspec import Struct

RETRIED = frozenset({429, 500, 502, 503, 504})
FAILING = 500

_LONGEST_WISH = 30.0


class Patience(Struct, frozen=True, kw_only=True):
    """How often and how long to try, in seconds."""

    tries: int = 6
    whole: float = 60.0
    """For all tries of a request with their pauses; no new one begins after."""
    connecting: float = 5.0
    reading: float = 30.0
    """Until the next bytes of an answer; a server that waits for its database answers 504 after as long."""
    pause: float = 0.2
    """Before the second try; doubled each time, at most `longest_pause`."""
    longest_pause: float = 5.0
    chance: Callable[[], float] = random.random

    @property
    def timeout(self) -> aiohttp.ClientTimeout:
        """The limits of one try."""
        return aiohttp.ClientTimeout(sock_connect=self.connecting, sock_read=self.reading, total=self.whole)

    @property
    def timeout_of_stream(self) -> aiohttp.ClientTimeout:
        """The limits of an answer that may be silent for long."""
        return aiohttp.ClientTimeout(sock_connect=self.connecting)

    def before(self, again: int, wish: float | None = None) -> float:
        """Seconds before another try, the first of which is 1.

        Half to one and a half times the rule, so that not all come at once. A server's wish, but at most half a minute
        of it, is a least.
        """
        rule = min(self.longest_pause, self.pause * 2 ** (again - 1)) * (0.5 + self.chance())
        return rule if wish is None else min(wish, _LONGEST_WISH) + rule


def wish_of(header: str | None) -> float | None:
    """Seconds that a Retry-After asks for; None when it does not, or not in a way that can be read."""
    if not header:
        return None
    if header.isascii() and header.isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def was_sent(error: Exception) -> bool:
    """Whether a request that failed may have reached the server."""
    return not isinstance(error, aiohttp.ClientConnectorError)


def words(error: Exception) -> str:
    """What failed, on one line."""
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "no answer in time"
    return " ".join(str(error).split())[:200] or type(error).__name__
