"""Locks in Azure: the requests that ask for them, the proof that they hold, and that Azurite is refused."""

import re
from asyncio import gather
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from azure.storage.blob.aio import BlobServiceClient
from support.protecting import Protecting, protecting

from livecalc.blobs.azure import AzureStore, connect
from livecalc.blobs.port import Verb, read_all
from livecalc.domain.errors import AlreadyExists, Conflict, NotFound, Unavailable

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "docs" / "regulatory.md"
LATER = datetime(2033, 1, 25, 1, 0, 0, tzinfo=UTC)
MUCH_LATER = datetime(2040, 1, 25, 1, 0, 0, tzinfo=UTC)
LATER_SAID = "Tue, 25 Jan 2033 01:00:00 GMT"


@pytest.fixture
def proxy(azurite: str) -> Generator[Protecting]:
    with protecting(azurite) as opened:
        yield opened


@pytest.fixture
async def store(proxy: Protecting) -> AsyncGenerator[AzureStore]:
    async with connect(connection_string=proxy.connection_string) as opened:
        yield opened


@pytest.fixture
async def box(proxy: Protecting, azurite: str) -> str:
    """A container as an operator makes it."""
    name = f"regulatory-{uuid4().hex[:12]}"
    await make_container(azurite, name)
    proxy.provisioned.add(name)
    return name


async def make_container(connection_string: str, name: str) -> None:
    async with BlobServiceClient.from_connection_string(connection_string) as service:
        await service.get_container_client(name).create_container()


async def mib(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * (1 << 20)


class TestWriting:
    async def test_a_small_blob_is_locked_by_the_request_that_makes_it(
        self, proxy: Protecting, store: AzureStore, box: str
    ) -> None:
        await store.write(box, "a", b"kept", metadata={"retain_until": "2033-01-25T01:00:00Z"}, locked_until=LATER)
        [asked] = proxy.asked()
        assert (asked.method, asked.path, asked.comp) == ("PUT", f"{box}/a", "")
        assert asked.policy == ("Locked", LATER_SAID)
        assert asked.headers["if-none-match"] == "*"
        assert asked.headers["x-ms-tags"] == "retain_until=2033-01-25T01%3A00%3A00Z"

    async def test_a_large_blob_is_locked_by_the_commit_of_its_blocks(
        self, proxy: Protecting, store: AzureStore, box: str
    ) -> None:
        await store.write(box, "large", mib(9), locked_until=LATER)
        [asked] = proxy.asked()
        assert (asked.method, asked.path, asked.comp) == ("PUT", f"{box}/large", "blocklist")
        assert asked.policy == ("Locked", LATER_SAID)
        assert asked.headers["if-none-match"] == "*"
        assert (await store.stat(box, "large")).locked_until == LATER

    async def test_parts_of_a_second_count_as_a_whole_one(self, proxy: Protecting, store: AzureStore, box: str) -> None:
        await store.write(box, "a", b"kept", locked_until=LATER - timedelta(microseconds=1))
        assert [asked.policy for asked in proxy.asked()] == [("Locked", LATER_SAID)]

    async def test_nothing_is_locked_unasked(self, proxy: Protecting, store: AzureStore, box: str) -> None:
        await store.write(box, "a", b"free")
        assert proxy.asked() == []
        assert (await store.stat(box, "a")).locked_until is None
        await store.delete(box, "a")

    async def test_the_lock_is_told(self, store: AzureStore, box: str) -> None:
        await store.write(box, "a", b"kept", locked_until=LATER)
        await store.write(box, "b", b"free")
        assert (await store.stat(box, "a")).locked_until == LATER
        assert [info.locked_until async for info in store.list_blobs(box)] == [LATER, None]

    async def test_a_policy_that_can_be_taken_back_is_no_lock(
        self, proxy: Protecting, store: AzureStore, box: str
    ) -> None:
        proxy.mode = "unlocked"
        await store.write(box, "a", b"kept", locked_until=LATER)
        assert (await store.stat(box, "a")).locked_until is None
        assert [info.locked_until async for info in store.list_blobs(box)] == [None]

    async def test_a_locked_blob_is_neither_replaced_nor_deleted(
        self, proxy: Protecting, store: AzureStore, box: str
    ) -> None:
        await store.write(box, "a", b"kept", locked_until=LATER)
        with pytest.raises(AlreadyExists):
            await store.write(box, "a", b"other", locked_until=MUCH_LATER)
        with pytest.raises(Conflict, match="blob 'a' is locked until 2033-01-25T01:00:00Z"):
            await store.delete(box, "a")
        assert await read_all(store, box, "a") == b"kept"
        # The service would take the name away, and keep the bytes as a version without one.
        assert [each for each in proxy.seen if each.method == "DELETE"] == []

    async def test_a_blob_whose_lock_has_ended_is_deleted(self, proxy: Protecting, store: AzureStore, box: str) -> None:
        await store.write(box, "a", b"kept", locked_until=LATER)
        del proxy.locks[f"{box}/a"]
        await store.delete(box, "a")
        with pytest.raises(NotFound):
            await store.delete(box, "a")


class TestLocking:
    async def test_a_blob_that_came_through_a_grant_is_locked_afterwards(
        self, proxy: Protecting, store: AzureStore, box: str
    ) -> None:
        await store.write(box, "a", b"result")
        await store.lock(box, "a", LATER)
        [asked] = proxy.asked()
        assert (asked.method, asked.path, asked.comp) == ("PUT", f"{box}/a", "immutabilityPolicies")
        assert asked.policy == ("Locked", LATER_SAID)
        assert (await store.stat(box, "a")).locked_until == LATER

    async def test_a_lock_is_extended_and_never_shortened(self, proxy: Protecting, store: AzureStore, box: str) -> None:
        await store.write(box, "a", b"kept", locked_until=LATER)
        await store.lock(box, "a", LATER - timedelta(days=365))
        await store.lock(box, "a", LATER)
        assert proxy.asked(comp="immutabilityPolicies") == []
        await store.lock(box, "a", MUCH_LATER)
        assert len(proxy.asked(comp="immutabilityPolicies")) == 1
        await store.lock(box, "a", LATER)
        assert len(proxy.asked(comp="immutabilityPolicies")) == 1
        assert (await store.stat(box, "a")).locked_until == MUCH_LATER

    async def test_whoever_locks_for_longest_wins(self, store: AzureStore, box: str) -> None:
        await store.write(box, "a", b"kept")
        dates = [LATER + timedelta(days=number) for number in range(8)]
        await gather(*(store.lock(box, "a", date) for date in reversed(dates)))
        assert (await store.stat(box, "a")).locked_until == dates[-1]

    async def test_a_longer_policy_is_not_shortened_by_locking_it(
        self, proxy: Protecting, store: AzureStore, box: str
    ) -> None:
        proxy.mode = "unlocked"
        await store.write(box, "a", b"kept", locked_until=MUCH_LATER)
        with pytest.raises(Unavailable, match="the store took the lock, and does not keep it"):
            await store.lock(box, "a", LATER)
        [asked] = proxy.asked(comp="immutabilityPolicies")
        assert asked.policy == ("Locked", "Wed, 25 Jan 2040 01:00:00 GMT")

    async def test_what_is_not_there_cannot_be_locked(self, store: AzureStore, box: str) -> None:
        with pytest.raises(NotFound):
            await store.lock(box, "a", LATER)


class TestProtection:
    async def test_it_is_proven_by_a_locked_blob_that_is_read_back(
        self, proxy: Protecting, store: AzureStore, box: str
    ) -> None:
        before = datetime.now(UTC)
        assert await store.protection(box) is None
        [asked] = proxy.asked()
        assert asked.path.startswith(f"{box}/protection/")
        assert asked.policy is not None
        assert asked.policy[0] == "Locked"
        [probe] = [info async for info in store.list_blobs(box)]
        assert probe.locked_until is not None
        assert timedelta(0) <= probe.locked_until - before - timedelta(days=1) < timedelta(minutes=1)
        assert [each.method for each in proxy.seen if each.path == asked.path] == ["PUT", "HEAD"]

    async def test_it_is_proven_once(self, proxy: Protecting, store: AzureStore, box: str) -> None:
        assert await store.protection(box) is None
        number = len(proxy.seen)
        assert await store.protection(box) is None
        assert len(proxy.seen) == number

    async def test_a_missing_container_is_the_operators_to_make(self, proxy: Protecting, store: AzureStore) -> None:
        why = await store.protection("regulatory-acme")
        assert why is not None
        assert "has no container regulatory-acme: an operator makes it" in why
        assert "az storage container-rm create" in why
        assert "--name regulatory-acme --public-access off --enable-vlw true" in why
        with pytest.raises(Unavailable, match="has no container regulatory-acme: an operator makes it"):
            await store.write("regulatory-acme", "a", b"x")
        with pytest.raises(Unavailable, match="an operator makes it"):
            await store.write("regulatory-acme", "a", mib(2), locked_until=LATER)
        soon = datetime.now(UTC) + timedelta(minutes=5)
        await store.grant("regulatory-acme", "a", Verb.CREATE, expires_at=soon, limit=1)
        assert "regulatory-acme" not in await store.list_containers("regulatory-acme")
        assert [each for each in proxy.seen if each.method == "PUT" and "restype" in each.query] == []

    async def test_the_command_is_the_one_that_the_page_explains(self, store: AzureStore) -> None:
        why = await store.protection("regulatory-acme")
        assert why is not None
        [command] = re.findall("`(az [^`]+)`", why)
        assert f"\n{command}\n" in PAGE.read_text("utf-8")

    async def test_what_is_missing_may_be_there_the_next_time(
        self, proxy: Protecting, store: AzureStore, box: str
    ) -> None:
        proxy.provisioned.remove(box)
        why = await store.protection(box)
        assert why is not None
        assert f"container {box} of blob store" in why
        assert "has no version-level immutability: make it anew" in why
        assert proxy.asked() == []
        proxy.provisioned.add(box)
        assert await store.protection(box) is None

    async def test_a_policy_that_can_be_taken_back_protects_nothing(
        self, proxy: Protecting, store: AzureStore, box: str
    ) -> None:
        proxy.mode = "unlocked"
        why = await store.protection(box)
        assert why is not None
        assert "does not keep it, so it protects nothing" in why

    async def test_a_lock_for_less_than_was_asked_protects_nothing(
        self, proxy: Protecting, store: AzureStore, box: str
    ) -> None:
        proxy.shortens = True
        why = await store.protection(box)
        assert why is not None
        assert "does not keep it, so it protects nothing" in why

    async def test_an_identity_that_may_not_lock_is_told_which_role_it_needs(
        self, proxy: Protecting, store: AzureStore, box: str
    ) -> None:
        proxy.forbids = True
        why = await store.protection(box)
        assert why is not None
        assert "give the identity the role Storage Blob Data Owner" in why

    async def test_azurite_accepts_locks_without_giving_them_and_is_refused(self, azurite: str) -> None:
        name = f"regulatory-{uuid4().hex[:12]}"
        await make_container(azurite, name)
        async with connect(connection_string=azurite) as store:
            await store.write(name, "a", b"not kept", locked_until=LATER)
            assert (await store.stat(name, "a")).locked_until is None
            with pytest.raises(Unavailable, match="cannot lock blob 'a'"):
                await store.lock(name, "a", LATER)
            why = await store.protection(name)
            assert why is not None
            assert "is Azurite, which takes locks and keeps none" in why
            assert await store.protection(f"{name}-missing") == why.replace(name, f"{name}-missing")
            await store.delete(name, "a")

    async def test_azurite_is_refused_even_if_it_said_that_the_container_protects(
        self, proxy: Protecting, store: AzureStore, box: str
    ) -> None:
        proxy.forgets = lambda _: True
        why = await store.protection(box)
        assert why is not None
        assert "does not keep it, so it protects nothing: use a storage account of Azure" in why
