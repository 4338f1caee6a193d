"""Every blob store that must pass `test_blobs.py`, opened by name so that another process can open the same one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from livecalc.blobs.azure import connect
from livecalc.blobs.directory import DirectoryStore
from livecalc.blobs.directory.grants import FileGrants
from livecalc.blobs.https import HttpsGrants
from livecalc.blobs.port import BlobStore, GrantClient

ADAPTERS = ("directory", "azure")


@asynccontextmanager
async def open_store(adapter: str, place: str) -> AsyncGenerator[BlobStore]:
    """Open the store of an adapter; `place` is a folder of the test's own, or a connection string."""
    if adapter == "azure":
        async with connect(connection_string=place) as store:
            yield store
    else:
        yield DirectoryStore(Path(place) / "blobs")


def open_grants(adapter: str) -> GrantClient:
    """Open the client for the adapter's grants."""
    return HttpsGrants(pause=0.01) if adapter == "azure" else FileGrants()
