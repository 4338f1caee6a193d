"""Take uploads to files, in constant memory and never beyond a limit: a plain body, or the form of a submit."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from starlette.requests import Request

from livecalc.blobs.scratch import scratch_folder
from livecalc.domain.errors import InvalidInput, TooLarge, Unavailable

_BUFFER = 1 << 20


class Upload:
    """A file that grows by what is written to it. Raises TooLarge, Unavailable (it cannot be stored)."""

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.size = 0
        self._limit = limit
        self._pending = bytearray()

    async def write(self, chunk: bytes) -> None:
        """Take a chunk; large ones go to the file at once, small ones are gathered."""
        self.size += len(chunk)
        check_size(self.size, self._limit)
        self._pending += chunk
        if len(self._pending) >= _BUFFER:
            await self.flush()

    async def flush(self) -> None:
        """Bring to the file what was gathered."""
        pending, self._pending = self._pending, bytearray()
        try:
            await asyncio.to_thread(_append, self.path, pending)
        except OSError as error:
            raise Unavailable(f"the upload cannot be stored on the server: {error.strerror}") from None


@asynccontextmanager
async def upload_folder() -> AsyncGenerator[Path, None]:
    """A folder that goes, with all in it, when the request has been answered."""
    async with AsyncExitStack() as stack:
        try:
            folder = await stack.enter_async_context(scratch_folder())
        except OSError as error:
            raise Unavailable(f"uploads cannot be stored on the server: {error.strerror}") from None
        yield folder


@asynccontextmanager
async def uploaded(request: Request, limit: int) -> AsyncGenerator[Path, None]:
    """The request's whole body as a file. Raises InvalidInput (it is empty), TooLarge, Unavailable."""
    check_announced(request, limit)
    async with upload_folder() as folder:
        upload = Upload(folder / "bundle.zip", limit)
        async for chunk in _body(request):
            await upload.write(chunk)
        if not upload.size:
            raise InvalidInput("the body is empty: send the bundle's bytes")
        await upload.flush()
        yield upload.path


def check_announced(request: Request, limit: int) -> None:
    """Refuse a body by its Content-Length, before it is read. Raises TooLarge."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal():
        check_size(int(announced), limit)


def check_size(size: int, limit: int) -> None:
    """Raise TooLarge when a bundle is over its limit, bytes."""
    if size > limit:
        raise TooLarge(f"the bundle has more than {limit >> 20} MiB (BUNDLE_LIMIT_MIB): make it smaller")


def _body(request: Request) -> AsyncIterator[bytes]:
    return request.stream()


def _append(path: Path, data: bytearray) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(data)
