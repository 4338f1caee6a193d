"""Azurite for the benches that measure archives in Azure Blob Storage, and the bare client that they compare with."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from blobstore import azurite

__all__ = ["BLOCK", "azurite"]

BLOCK = 4 * 1024 * 1024
"""Bytes of a block, in the bare client as in ours."""
