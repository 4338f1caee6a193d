"""Writing one blob: a single request, or blocks that stay invisible until all of them are committed."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from io import BytesIO
from typing import Any, cast
from urllib.parse import quote, urlencode

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobProperties
from azure.storage.blob.aio import BlobClient, BlobServiceClient

from livecalc.blobs.azure.failures import is_doubtful, is_taken
from livecalc.blobs.azure.locks import policy_headers, policy_until
from livecalc.blobs.azure.rest import Rest, content_md5
from livecalc.blobs.port import refuse_unexpected

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

    def __init__(  # noqa: PLR0913  (two ways to the service, which blob, and what is said of it)
        self,
        rest: Rest,
        service: BlobServiceClient,
        address: tuple[str, str],
        metadata: Mapping[str, str],
        slots: asyncio.Semaphore,
        *,
        locked_until: datetime | None = None,
        expected: str | None = None,
    ) -> None:
        self._rest = rest
        self._service = service
        self._container, self._name = address
        self._locked_until = locked_until
        self._expected = expected
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

        Raises AzureError, and Damaged when the bytes are not those expected; may be called again.
        """
        self._digest = hashlib.sha256(body)
        self.size = len(body)
        refuse_unexpected(self._name, self._expected, self.sha256)
        try:
            return await self._rest.put(
                self._container, self._name, body, metadata=self._own_metadata(), headers=self._own_headers()
            )
        except AzureError as error:
            there = await self._look(error)
            if there is not None or not is_taken(error):
                return self._settled(there, error)
        # A name with blocks that nobody committed is taken for this request, and free for a commit of other blocks.
        self._digest = hashlib.sha256()
        self.size = 0
        return await self.stage(pieces(body))

    async def stage(self, body: AsyncIterator[bytes]) -> datetime | None:
        """Store a stream in constant memory; returns as `put`. Raises as `put`, and what the body raises."""
        blob = self._blob()
        try:
            blocks = await self._stage_all(blob, body)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None  # the first; the others are its consequences
        refuse_unexpected(self._name, self._expected, self.sha256)
        try:
            done = await blob.commit_block_list(blocks, match_condition=MatchConditions.IfMissing, **self._about())
        except AzureError as error:
            return self._settled(await self._look(error), error)
        return cast("datetime", done["last_modified"])

    async def _stage_all(self, blob: BlobClient, body: AsyncIterator[bytes]) -> list[BlobBlock]:
        blocks: list[BlobBlock] = []
        async with asyncio.TaskGroup() as group:
            async for piece in _blocks(body):
                # In a thread: 4 MiB take 8 ms, in which the requests on their way would stand still.
                md5 = await asyncio.to_thread(self._account_for, piece)
                block = BlobBlock(f"{self._mark}{len(blocks):08}")
                blocks.append(block)
                await self._slots.acquire()
                # Not in the task itself: one that is cancelled before it runs would keep its slot.
                group.create_task(_stage(blob, block, piece, md5)).add_done_callback(self._release)
        return blocks

    def _account_for(self, piece: bytes) -> str:
        """Count a piece in; returns its MD5 as a header says it."""
        self._digest.update(piece)
        self.size += len(piece)
        return content_md5(piece)

    def _release(self, _: asyncio.Task[None]) -> None:
        self._slots.release()

    def _blob(self) -> BlobClient:
        return self._service.get_blob_client(self._container, self._name)

    def _own_metadata(self) -> dict[str, str]:
        return {**self._metadata, SHA256: self.sha256, UPLOAD: self._mark}

    def _own_headers(self) -> dict[str, str]:
        tags = {"x-ms-tags": urlencode({TAG: self._metadata[TAG]}, quote_via=quote)} if TAG in self._metadata else {}
        return tags if self._locked_until is None else {**tags, **policy_headers(self._locked_until)}

    def _about(self) -> dict[str, Any]:
        about: dict[str, Any] = {"metadata": self._own_metadata()}
        if TAG in self._metadata:
            about["tags"] = {TAG: self._metadata[TAG]}
        if self._locked_until is not None:
            about["immutability_policy"] = policy_until(self._locked_until)
        return about

    async def _look(self, error: AzureError) -> BlobProperties | None:
        """Look whether a blob is there after an answer that leaves it open."""
        if not (is_taken(error) or is_doubtful(error)):
            raise error
        try:
            return await self._blob().get_blob_properties()
        except AzureError as unknown:
            if is_taken(error) and isinstance(unknown, ResourceNotFoundError):
                return None
            raise error from None

    def _settled(self, there: BlobProperties | None, error: AzureError) -> datetime | None:
        """Tell an earlier try of ours from another's blob. Raises the error when it is neither."""
        if there is not None and (there.metadata or {}).get(UPLOAD) == self._mark:
            return there.creation_time
        if there is None or not is_taken(error):
            raise error
        return None


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body as a stream of pieces that need no second copy of the whole."""
    for start in range(0, len(body), ONE_REQUEST):
        yield body[start : start + ONE_REQUEST]


async def _stage(blob: BlobClient, block: BlobBlock, piece: bytes, md5: str) -> None:
    await blob.stage_block(block.id, BytesIO(piece), length=len(piece), headers={"Content-MD5": md5})


async def _blocks(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut a stream into blocks of one size; the last may be smaller, and an empty stream has none."""
    block = bytearray()
    async for chunk in body:
        if not block and len(chunk) == BLOCK:  # as another blob is read: there is nothing to cut or to copy
            yield chunk
            continue
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
