"""Every blob store that must pass `test_blobs.py`, opened by name so that another process can open the same one."""

from pathlib import Path

from livecalc.blobs.directory import DirectoryStore
from livecalc.blobs.directory.grants import FileGrants
from livecalc.blobs.port import BlobStore, GrantClient

ADAPTERS = ("directory",)


def open_store(adapter: str, place: str) -> BlobStore:
    """Open the store of an adapter; `place` is a folder of the test's own, or an address."""
    return {"directory": lambda: DirectoryStore(Path(place) / "blobs")}[adapter]()


def open_grants(adapter: str) -> GrantClient:
    """Open the client for the adapter's grants."""
    return {"directory": FileGrants}[adapter]()
