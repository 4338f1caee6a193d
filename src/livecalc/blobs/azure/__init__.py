"""Blobs in Azure Blob Storage, by the vendor's SDK: `connect` opens an account, `store` does what the port says."""

from livecalc.blobs.azure.connect import connect
from livecalc.blobs.azure.store import AzureStore

__all__ = ["AzureStore", "connect"]
