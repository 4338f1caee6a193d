"""Who makes a body for a blob need not close it: the write does, however it ends."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from contracts.blob_adapters import ADAPTERS, open_store

from livecalc.blobs.port import BlobStore
from livecalc.domain.errors import AlreadyExists, InvalidInput

pytestmark = pytest.mark.anyio


@pytest.fixture(params=ADAPTERS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    place = str(request.getfixturevalue("azurite")) if request.param == "azure" else str(tmp_path)
    async with open_store(request.param, place) as opened:
        yield opened


@pytest.fixture
def box() -> str:
    return f"box-{uuid4().hex[:20]}"


async def test_one_that_is_refused(store: BlobStore, box: str) -> None:
    await store.write(box, "a", b"first")
    body = endless()
    with pytest.raises(AlreadyExists):
        await store.write(box, "a", body)
    assert await is_closed(body)


async def test_one_with_a_name_or_metadata_that_are_none(store: BlobStore, box: str) -> None:
    for name, metadata in (("..", {}), ("a", {"": "x"})):
        body = endless()
        with pytest.raises(InvalidInput):
            await store.write(box, name, body, metadata=metadata)
        assert await is_closed(body)


async def test_one_that_is_cancelled_on_its_way(store: BlobStore, box: str) -> None:
    taken = asyncio.Event()

    async def watched() -> AsyncGenerator[bytes]:
        async for piece in endless():
            yield piece
            taken.set()

    body = watched()
    write = asyncio.create_task(store.write(box, "a", body))
    await taken.wait()
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    assert await is_closed(body)
    assert [info async for info in store.list_blobs(box)] == []


async def endless() -> AsyncGenerator[bytes]:
    while True:
        yield b"x" * (1 << 20)


async def is_closed(stream: AsyncGenerator[bytes]) -> bool:
    """Tell of one that has no end whether it was closed."""
    return await anext(stream, None) is None
