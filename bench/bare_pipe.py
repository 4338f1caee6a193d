"""The other side of archive_large_log.py: a blob piped to another through staged blocks, by the vendor's client alone.

No digest of the whole, no second reading; with the check of each block, which makes Azurite faster. Arguments: source
container, source blob, target container, target blob.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from io import BytesIO
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobBlock
from azure.storage.blob.aio import BlobClient, BlobServiceClient
from store import BLOCK

AT_ONCE = 6


async def pipe(source: BlobClient, target: BlobClient) -> None:
    """Read, stage, commit."""
    blocks: list[BlobBlock] = []
    slots = asyncio.Semaphore(AT_ONCE)

    async def stage(block: BlobBlock, piece: bytes) -> None:
        await target.stage_block(block.id, BytesIO(piece), length=len(piece), validate_content=True)
        slots.release()

    stream = await source.download_blob()
    chunks: AsyncIterator[bytes] = stream.chunks()
    async with asyncio.TaskGroup() as group:
        async for piece in chunks:
            blocks.append(BlobBlock(f"{len(blocks):08}"))
            await slots.acquire()
            group.create_task(stage(blocks[-1], piece))
    await target.commit_block_list(blocks)


async def main(names: list[str]) -> None:
    """Pipe between the blobs that are named."""
    setting = os.environ["AZURE_BLOB_CONNECTION_STRING"]
    sizes: dict[str, Any] = {"max_single_get_size": BLOCK, "max_chunk_get_size": BLOCK}
    async with BlobServiceClient.from_connection_string(setting, **sizes) as service:
        with suppress(ResourceExistsError):
            await service.get_container_client(names[2]).create_container()
        await pipe(service.get_blob_client(*names[:2]), service.get_blob_client(*names[2:]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
