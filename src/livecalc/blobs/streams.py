"""Streams that are closed when their reader stops early, so that connections and files are let go at once."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def closing(items: T) -> AsyncGenerator[T, None]:
    """Have a stream while the context lasts; what is no generator needs no closing."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
