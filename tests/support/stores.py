"""The blob stores that tests run on, each with containers of the test's own; and hands that change what they hold."""

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio.to_thread
from azure.storage.blob.aio import BlobServiceClient
from contracts.blob_adapters import open_store

from livecalc.blobs.port import BlobStore
from livecalc.blobs.streams import closing

Change = Callable[[bytes], bytes | None]
"""Gives a blob's new bytes; None takes it away."""


class _Boxed:
    """Passes every call on, with the box's name before the container's."""

    def __init__(self, store: BlobStore, box: str) -> None:
        self._store = store
        self._box = box

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._store, name)
        if name == "list_containers":
            return self._list_containers
        if inspect.isasyncgenfunction(value):
            return self._stream(value)
        return self._call(value) if inspect.iscoroutinefunction(value) and name != "close" else value

    async def _list_containers(self, prefix: str = "") -> list[str]:
        return [name.removeprefix(self._box) for name in await self._store.list_containers(self._box + prefix)]

    def _call(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(container: str, *args: Any, **options: Any) -> Any:
            return await method(self._box + container, *args, **options)

        return call

    def _stream(self, method: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
        async def stream(container: str, *args: Any, **options: Any) -> AsyncIterator[Any]:
            async with closing(method(self._box + container, *args, **options)) as items:
                async for item in items:
                    yield item

        return stream


def boxed(store: BlobStore, box: str) -> BlobStore:
    """Show of a real store only the containers whose names begin with `{box}-`, without that."""
    return cast("BlobStore", _Boxed(store, f"{box}-"))


@asynccontextmanager
async def boxed_store(adapter: str, place: str, box: str) -> AsyncGenerator[BlobStore]:
    """Open the store of an adapter. All tests share one Azurite, so there a test has a box of its own."""
    async with open_store(adapter, place) as store:
        yield store if adapter == "directory" else boxed(store, box)


class Hands:
    """Someone who has the store's disk or key, and minds no rule of the platform's: changes blobs in place."""

    def __init__(self, adapter: str, place: str, box: str) -> None:
        self._adapter = adapter
        self._place = place
        self._box = box

    async def change(self, container: str, name: str, change: Change) -> None:
        """Give a blob other bytes, and leave all that is noted about it as it is; or take it away."""
        if self._adapter == "directory":
            await anyio.to_thread.run_sync(_change_file, Path(self._place, "blobs", container, name), change)
            return
        async with BlobServiceClient.from_connection_string(self._place) as service:
            blob = service.get_blob_client(f"{self._box}-{container}", name)
            stream = await blob.download_blob()
            content = change(await stream.readall())
            if content is None:
                await blob.delete_blob()
            else:
                await blob.upload_blob(content, overwrite=True, metadata=stream.properties.metadata)


def _change_file(path: Path, change: Change) -> None:
    content = change(path.read_bytes())
    if content is None:
        path.unlink()
        return
    mode = path.stat().st_mode
    path.chmod(0o600)
    path.write_bytes(content)
    path.chmod(mode)


def flip(position: int) -> Change:
    """Change one bit of one byte; positions count from the end when they are negative."""

    def change(content: bytes) -> bytes:
        edited = bytearray(content)
        edited[position] ^= 1
        return bytes(edited)

    return change


def drop(_: bytes) -> None:
    """Take a blob away."""
