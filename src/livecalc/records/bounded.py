"""Do one thing for many, some at a time; the first failure cancels the rest."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def map_bounded(do: Callable[[A], Awaitable[B]], items: Iterable[A], *, at_once: int) -> list[B]:
    """Call `do` for each item, at most `at_once` at a time, and return the answers in the items' order.

    Raises the first failure itself, never a group.
    """
    slots = asyncio.Semaphore(at_once)

    async def one(item: A) -> B:
        async with slots:
            return await do(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors.exceptions[0].__cause__
    return [task.result() for task in tasks]
