"""Locks in a real storage account: the effect that Azurite cannot show. `conftest` leaves it out without one.

Needs a container with version-level immutability (docs/regulatory.md); each test leaves a blob locked for a day.
"""

import os
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ImmutabilityPolicy
from azure.storage.blob.aio import BlobServiceClient

from livecalc.blobs.azure import AzureStore, connect
from livecalc.domain.errors import Conflict

pytestmark = pytest.mark.anyio
CONNECTION = os.environ["LIVECALC_TEST_AZURE_CONNECTION_STRING"]
CONTAINER = os.environ["LIVECALC_TEST_AZURE_CONTAINER"]


@pytest.fixture
async def store() -> AsyncGenerator[AzureStore]:
    async with connect(connection_string=CONNECTION) as opened:
        yield opened


@pytest.fixture
def name() -> str:
    return f"protection/test-{uuid4().hex}"


def tomorrow() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


async def test_the_container_protects(store: AzureStore) -> None:
    assert await store.protection(CONTAINER) is None


@pytest.mark.parametrize("size", [1, 5 << 20], ids=["one-request", "blocks"])
async def test_a_locked_blob_cannot_be_deleted_for_good(store: AzureStore, name: str, size: int) -> None:
    until = tomorrow()
    await store.write(CONTAINER, name, b"x" * size, locked_until=until)
    assert (await store.stat(CONTAINER, name)).locked_until == until
    with pytest.raises(Conflict, match="is locked until"):
        await store.delete(CONTAINER, name)
    async with BlobServiceClient.from_connection_string(CONNECTION) as service:
        blob = service.get_blob_client(CONTAINER, name)
        version = (await blob.get_blob_properties()).version_id
        with pytest.raises(HttpResponseError):
            await blob.delete_blob(version_id=version)
        with pytest.raises(HttpResponseError):
            await blob.delete_immutability_policy()
        shorter = ImmutabilityPolicy(expiry_time=until - timedelta(hours=12), policy_mode="Locked")
        with pytest.raises(HttpResponseError):
            await blob.set_immutability_policy(shorter)
    assert (await store.stat(CONTAINER, name)).locked_until == until


async def test_a_blob_is_locked_afterwards_and_for_longer(store: AzureStore, name: str) -> None:
    until = tomorrow()
    await store.write(CONTAINER, name, b"result")
    await store.lock(CONTAINER, name, until)
    await store.lock(CONTAINER, name, until - timedelta(hours=12))
    assert (await store.stat(CONTAINER, name)).locked_until == until
    await store.lock(CONTAINER, name, until + timedelta(hours=1))
    [info] = [info async for info in store.list_blobs(CONTAINER, name)]
    assert info.locked_until == until + timedelta(hours=1)
