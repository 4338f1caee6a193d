"""Writing one blob: a single request, or blocks that stay invisible until all of them are committed."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from io import BytesIO
from typing import Any, cast

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobBlock
from azure.storage.blob.aio import BlobClient

from livecalc.blobs.azure.failures import is_taken
from livecalc.blobs.azure.locks import policy_until

BLOCK = 4 * 1024 * 1024
"""Bytes."""
ONE_REQUEST = 1024 * 1024
"""Bytes; what is not larger needs no blocks."""
SHA256 = "sha256"
UPLOAD = "upload"
"""Metadata of every blob: its digest, and the write that made it."""
TAG = "retain_until"
"""Metadata that is an index tag too, so that the service itself can find what has ended."""


class Upload:
    """One write of one blob; `slots` bounds the blocks that are on their way, of all uploads together.

    A commit whose answer was lost knows its own blob by a random mark in its metadata.
    """

    def __init__(
        self,
        blob: BlobClient,
        metadata: Mapping[str, str],
        slots: asyncio.Semaphore,
        *,
        locked_until: datetime | None = None,
    ) -> None:
        self._blob = blob
        self._locked_until = locked_until
        self._slots = slots
        self._metadata = metadata
        self._mark = secrets.token_hex(8)
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """The digest of the bytes so far, hex."""
        return self._digest.hexdigest()

    async def put(self, body: bytes) -> datetime | None:
        """Store all bytes in one request; returns the service's time, None when another's blob is there.

        Raises AzureError; may be called again.
        """
        self._digest = hashlib.sha256(body)
        self.size = len(body)
        try:
            done = await self._blob.upload_blob(body, overwrite=False, validate_content=True, **self._about())
        except AzureError as error:
            return await self._settle(error)
        return done["last_modified"]

    async def stage(self, body: AsyncIterator[bytes]) -> datetime | None:
        """Store a stream in constant memory; returns as `put`. Raises AzureError, and what the body raises."""
        try:
            blocks = await self._stage_all(body)
        except ExceptionGroup as failed:
            raise _first(failed) from None
        try:
            done = await self._blob.commit_block_list(
                blocks, match_condition=MatchConditions.IfMissing, **self._about()
            )
        except AzureError as error:
            return await self._settle(error)
        return cast("datetime", done["last_modified"])

    async def _stage_all(self, body: AsyncIterator[bytes]) -> list[BlobBlock]:
        blocks: list[BlobBlock] = []
        async with asyncio.TaskGroup() as group:
            async for piece in _blocks(body):
                self._digest.update(piece)
                self.size += len(piece)
                block = BlobBlock(f"{self._mark}{len(blocks):08}")
                blocks.append(block)
                await self._slots.acquire()
                # Not in the task itself: one that is cancelled before it runs would keep its slot.
                group.create_task(self._stage_one(block, piece)).add_done_callback(self._release)
        return blocks

    async def _stage_one(self, block: BlobBlock, piece: bytes) -> None:
        await self._blob.stage_block(block.id, BytesIO(piece), length=len(piece), validate_content=True)

    def _release(self, _: asyncio.Task[None]) -> None:
        self._slots.release()

    def _about(self) -> dict[str, Any]:
        about: dict[str, Any] = {"metadata": {**self._metadata, SHA256: self.sha256, UPLOAD: self._mark}}
        if TAG in self._metadata:
            about["tags"] = {TAG: self._metadata[TAG]}
        if self._locked_until is not None:
            about["immutability_policy"] = policy_until(self._locked_until)
        return about

    async def _settle(self, error: AzureError) -> datetime | None:
        """Tell an earlier try of ours from another's blob."""
        if not is_taken(error):
            raise error
        try:
            stored = await self._blob.get_blob_properties()
        except ResourceNotFoundError:
            raise error from None
        return stored.creation_time if (stored.metadata or {}).get(UPLOAD) == self._mark else None


def _first(error: Exception) -> Exception:
    """What went wrong first; the others are its consequences."""
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return error


async def _blocks(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut a stream into blocks of one size; the last may be smaller, and an empty stream has none."""
    block = bytearray()
    async for chunk in body:
        rest = memoryview(chunk)
        while rest:
            room = BLOCK - len(block)
            block += rest[:room]
            rest = rest[room:]
            if len(block) == BLOCK:
                yield bytes(block)
                block.clear()
    if block:
        yield bytes(block)
