"""Wrappers around real ports: they count calls, let some fail, or 'kill' the process that makes them."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from livecalc.blobs.streams import closing

T = TypeVar("T")
Hook = Callable[[str, tuple[Any, ...]], None]
AsyncHook = Callable[[str, tuple[Any, ...]], Awaitable[None]]


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the product catches it."""


def tap(port: T, before: Hook | None = None, after: Hook | None = None, pause: AsyncHook | None = None) -> T:
    """Wrap a port: the hooks see each call's method and arguments, and may raise; `pause` is awaited before a call."""
    return cast("T", _Tapped(port, before or _nothing, after or _nothing, pause))


def _nothing(_: str, __: tuple[Any, ...]) -> None:
    return


class _Tapped:
    def __init__(self, port: object, before: Hook, after: Hook, pause: AsyncHook | None) -> None:
        self._port = port
        self._before = before
        self._after = after
        self._pause = pause

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if inspect.isasyncgenfunction(value):
            return self._stream(name, value)
        return self._call(name, value) if inspect.iscoroutinefunction(value) else value

    def _call(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self._before(name, args)
            if self._pause is not None:
                await self._pause(name, args)
            answer = await method(*args, **kwargs)
            self._after(name, args)
            return answer

        return call

    def _stream(self, name: str, method: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
        async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            self._before(name, args)
            async with closing(method(*args, **kwargs)) as each_of:
                async for each in each_of:
                    yield each
            self._after(name, args)

        return stream


@dataclass
class Life:
    """A process that dies at its `dies_at`-th port call: before it takes effect, or after, with the answer lost."""

    dies_at: int = 0
    after: bool = False
    calls: list[str] = field(default_factory=list[str])
    dead: bool = False

    def wrap(self, port: T) -> T:
        return tap(port, self._before, self._after)

    def _before(self, name: str, _: tuple[Any, ...]) -> None:
        if self.dead:
            raise Killed
        self.calls.append(name)
        if len(self.calls) == self.dies_at and not self.after:
            self.dead = True
            raise Killed

    def _after(self, _: str, __: tuple[Any, ...]) -> None:
        # Calls overlap: the one that reached the number is the last that took effect.
        if self.dead or (self.after and self.dies_at and len(self.calls) >= self.dies_at):
            self.dead = True
            raise Killed


@dataclass
class Broken:
    """A port some of whose calls fail while `on`."""

    error: Callable[[], Exception]
    when: Callable[[str, tuple[Any, ...]], bool]
    on: bool = True
    failures: int = 0

    def wrap(self, port: T) -> T:
        return tap(port, self._before)

    def _before(self, name: str, args: tuple[Any, ...]) -> None:
        if self.on and self.when(name, args):
            self.failures += 1
            raise self.error()
