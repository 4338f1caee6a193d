"""Ports that number the calls made of them, and end this process by SIGKILL before or after one.

A step is a call of a port. A read that a task repeats before it writes anything is the same step: how often a loop
looks until something has happened depends on the machine, and nothing changes between two looks.
"""

import asyncio
import inspect
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal, TypeVar, cast
from weakref import WeakKeyDictionary

from msgspec import Struct

T = TypeVar("T")
Instant = Literal["before", "after"]
_SHOWN = 200
"""Characters; what is longer is a record."""
READS = {"now", "stat", "read", "read_log"}


class Death(Struct, frozen=True, kw_only=True):
    """Where a process is killed: before a call takes effect, or after that and before its answer is used."""

    step: int
    instant: Instant


class Steps:
    """Counts the steps of this process; `note` hears of each before it is taken."""

    def __init__(self, note: Callable[[str], None], death: Death | None = None) -> None:
        self._note = note
        self._death = death
        self._count = 0
        self._reads: WeakKeyDictionary[asyncio.Task[Any], set[str]] = WeakKeyDictionary()

    def wrap(self, port: T, name: str) -> T:
        """A port of the same behaviour, whose calls are steps."""
        return cast("T", _Stepped(port, name, self))

    def enter(self, call: str, *, reads: bool) -> int:
        """Take note of a call and return its number; 0 for one that is no new step."""
        task = asyncio.current_task()
        assert task is not None
        seen = self._reads.setdefault(task, set())
        if reads and call in seen:
            return 0
        if reads:
            seen.add(call)
        else:
            seen.clear()
        self._count += 1
        self._note(call)
        self._die_at(self._count, "before")
        return self._count

    def leave(self, number: int) -> None:
        """Take note that a call has taken effect."""
        self._die_at(number, "after")

    def _die_at(self, number: int, instant: Instant) -> None:
        if self._death is not None and (self._death.step, self._death.instant) == (number, instant):
            os.kill(os.getpid(), signal.SIGKILL)


class _Stepped:
    def __init__(self, port: object, name: str, steps: Steps) -> None:
        self._port = port
        self._name = name
        self._steps = steps

    def __getattr__(self, method: str) -> Any:
        value = getattr(self._port, method)
        if inspect.isasyncgenfunction(value):
            return self._stream(method, value)
        return self._call(method, value) if inspect.iscoroutinefunction(value) else value

    def _call(self, method: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def stepped(*args: Any, **kwargs: Any) -> Any:
            number = self._enter(method, args, kwargs)
            try:
                return await call(*args, **kwargs)
            finally:
                self._steps.leave(number)

        return stepped

    def _stream(self, method: str, call: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
        async def stepped(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            number = self._enter(method, args, kwargs)
            try:
                async for each in call(*args, **kwargs):
                    yield each
            finally:
                self._steps.leave(number)

        return stepped

    def _enter(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        reads = method in READS or method.startswith(("get_", "list_"))
        shown = ", ".join([*(_show(each) for each in args), *(f"{key}={_show(each)}" for key, each in kwargs.items())])
        return self._steps.enter(f"{self._name}.{method}({shown})", reads=reads)


def _show(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    if inspect.isasyncgen(value):
        return "<stream>"
    text = repr(value)
    return text if len(text) < _SHOWN else f"<{type(value).__name__}>"
