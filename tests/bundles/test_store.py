import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from lifecycle.taps import tap
from support.bundles import CONFIG, bundle, model_files

from livecalc.blobs.directory import DirectoryStore
from livecalc.blobs.port import BlobInfo, Body, read_all
from livecalc.bundles.limits import Limits
from livecalc.bundles.store import BundleStore
from livecalc.domain.errors import Damaged, InvalidInput, NotFound, TooLarge

pytestmark = pytest.mark.anyio

DATA = bundle(model_files())
UNTIL = datetime(2033, 1, 25, tzinfo=UTC)
HASH = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[DirectoryStore]:
    store = DirectoryStore(tmp_path / "blobs")
    yield store
    await store.close()


@pytest.fixture
def store(blobs: DirectoryStore) -> BundleStore:
    return BundleStore(blobs, limits=Limits())


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.zip"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    path = tmp_path / "cut.zip"
    path.write_bytes(DATA[:-1])
    return path


async def test_a_pushed_bundle_is_stored_under_its_hash(store: BundleStore, blobs: DirectoryStore, good: Path) -> None:
    pushed = await store.push("acme", good)
    assert (pushed.model_bundle_hash, pushed.size, pushed.created) == (HASH, len(DATA), True)
    info = await blobs.stat("bundles-acme", HASH)
    assert (info.size, info.sha256) == (len(DATA), HASH)


async def test_pushing_again_changes_nothing(store: BundleStore, good: Path) -> None:
    await store.push("acme", good)
    again = await store.push("acme", good)
    assert (again.model_bundle_hash, again.created) == (HASH, False)


async def test_stores_nothing_that_does_not_verify(
    store: BundleStore, blobs: DirectoryStore, good: Path, cut: Path
) -> None:
    with pytest.raises(InvalidInput, match="bundle refused"):
        await store.push("acme", cut)
    with pytest.raises(TooLarge):
        await BundleStore(blobs, limits=Limits(bytes=100)).push("acme", good)
    assert await blobs.list_containers() == []


async def test_describes_what_another_process_pushed(store: BundleStore, blobs: DirectoryStore, good: Path) -> None:
    await store.push("acme", good)
    other = BundleStore(blobs, limits=Limits())
    first, again = await other.describe("acme", HASH), await other.describe("acme", HASH)
    assert (first.size, first.config.name) == (len(DATA), "small")
    assert first == again


async def test_fetches_the_very_bytes(store: BundleStore, good: Path, tmp_path: Path) -> None:
    await store.push("acme", good)
    await store.fetch("acme", HASH, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA


async def test_another_tenants_bundle_is_not_there(store: BundleStore, good: Path, tmp_path: Path) -> None:
    await store.push("acme", good)
    for attempt in (
        store.describe("other", HASH),
        store.fetch("other", HASH, tmp_path / "copy"),
        store.resolve("other", HASH),
        store.resolve("other", HASH[:8]),
    ):
        with pytest.raises(NotFound, match="there is no bundle"):
            await attempt
    assert not (tmp_path / "copy").exists()


async def test_notices_damage(store: BundleStore, blobs: DirectoryStore, tmp_path: Path) -> None:
    await blobs.write("bundles-acme", HASH, DATA[:-1] + b"!")
    with pytest.raises(Damaged, match=f"the stored bundle {HASH} is damaged"):
        await store.fetch("acme", HASH, tmp_path / "copy")
    with pytest.raises(Damaged):
        await store.describe("acme", HASH)
    assert not (tmp_path / "copy").exists()


class Locking(DirectoryStore):
    """Takes locks, as a store does that keeps them."""

    async def write(  # noqa: PLR0913  (as the port has it)
        self,
        container: str,
        name: str,
        body: Body,
        *,
        metadata: Mapping[str, str] | None = None,
        locked_until: datetime | None = None,  # noqa: ARG002  (it is taken, and that is all)
        sha256: str | None = None,
    ) -> BlobInfo:
        return await super().write(container, name, body, metadata=metadata, sha256=sha256)

    async def lock(self, container: str, name: str, until: datetime) -> None:
        """Take that too."""


@pytest.fixture
async def locking(tmp_path: Path) -> AsyncIterator[DirectoryStore]:
    store = Locking(tmp_path / "blobs")
    yield store
    await store.close()


async def test_keeps_the_very_bytes_where_regulatory_data_lies(
    locking: DirectoryStore, good: Path, tmp_path: Path
) -> None:
    store = BundleStore(locking, limits=Limits())
    kept = await store.keep("acme", await store.push("acme", good), UNTIL)
    assert await read_all(locking, kept.shelf.container, kept.shelf.blob(HASH)) == DATA
    assert kept.shelf.container == "regulatory-acme"
    await locking.delete("bundles-acme", HASH)
    await store.fetch("acme", HASH, tmp_path / "copy")


async def test_keeps_nothing_that_is_damaged(locking: DirectoryStore, good: Path) -> None:
    store = BundleStore(locking, limits=Limits())
    pushed = await store.push("acme", good)
    await locking.delete("bundles-acme", HASH)
    await locking.write("bundles-acme", HASH, DATA[:-1] + b"!")
    with pytest.raises(Damaged, match=f"the stored bundle {HASH} is damaged: .* delete it from bundles-acme"):
        await store.keep("acme", pushed, UNTIL)
    assert [info async for info in locking.list_blobs("regulatory-acme")] == []


async def test_a_file_that_changes_after_it_was_verified_is_not_stored(blobs: DirectoryStore, good: Path) -> None:
    def change(call: str, _: tuple[Any, ...]) -> None:
        if call == "write":
            good.write_bytes(DATA[:-1] + b"!")

    with pytest.raises(Damaged, match="nothing is stored"):
        await BundleStore(tap(blobs, before=change), limits=Limits()).push("acme", good)
    assert [info async for info in blobs.list_blobs("bundles-acme")] == []


async def test_completes_a_prefix(store: BundleStore, good: Path) -> None:
    await store.push("acme", good)
    for length in (8, 12, 63, 64):
        assert await store.resolve("acme", HASH[:length]) == HASH


@pytest.mark.parametrize("prefix", ["", HASH[:7], HASH + "0", HASH[:8].upper() + "X", "../../etc", "xxxxxxxxx"])
async def test_refuses_what_is_no_prefix(store: BundleStore, prefix: str) -> None:
    with pytest.raises(InvalidInput, match="is not a hash: give 8 to 64 digits"):
        await store.resolve("acme", prefix)


async def test_refuses_a_prefix_of_two(store: BundleStore, blobs: DirectoryStore) -> None:
    for digest in ("abcdef01" + "0" * 56, "abcdef01" + "1" * 56):
        await blobs.write("bundles-acme", digest, b"x")
    with pytest.raises(InvalidInput, match="abcdef01 is ambiguous"):
        await store.resolve("acme", "abcdef01")
    assert await store.resolve("acme", "abcdef010") == "abcdef01" + "0" * 56


async def test_never_blocks_the_loop(blobs: DirectoryStore, good: Path, tmp_path: Path) -> None:
    with blockbuster_ctx("livecalc.bundles"):
        await BundleStore(blobs, limits=Limits()).push("acme", good)
        other = BundleStore(blobs, limits=Limits())
        assert await other.resolve("acme", HASH[:8]) == HASH
        assert (await other.describe("acme", HASH)).size == len(DATA)
        await other.fetch("acme", HASH, tmp_path / "copy")


async def test_remembers_only_so_many(blobs: DirectoryStore, tmp_path: Path) -> None:
    store = BundleStore(blobs, limits=Limits())
    hashes: list[str] = []
    for number in range(130):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(bundle(model_files({**CONFIG, "version": str(number)})))
        hashes.append((await store.push("acme", path)).model_bundle_hash)
    assert (await store.describe("acme", hashes[0])).config.version == "0"
    assert (await store.describe("acme", hashes[129])).config.version == "129"
