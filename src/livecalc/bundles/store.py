"""Bundles in the blob store: one blob each, named by its hash, written once, in its tenant's own container."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from anyio import Path as AsyncPath
from anyio import open_file, to_thread
from msgspec import Struct, structs

from livecalc.blobs.port import BlobStore
from livecalc.blobs.scratch import scratch_folder
from livecalc.bundles.archive import CHUNK, read_entries
from livecalc.bundles.limits import Limits
from livecalc.bundles.verify import open_archive, read_config, verify
from livecalc.domain.errors import AlreadyExists, Damaged, InvalidInput, NotFound
from livecalc.domain.modelconfig import Config
from livecalc.domain.retention import Retention
from livecalc.domain.shelves import Shelf, bundle_shelf

_DIGITS = 64
_FEWEST_DIGITS = 8
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_REMEMBERED = 128


class StoredBundle(Struct, frozen=True, kw_only=True):
    """What is known of a bundle that is stored."""

    model_bundle_hash: str
    size: int
    config: Config
    shelf: Shelf
    """Where it lies; the blob's name there is the hash."""


class PushedBundle(StoredBundle, frozen=True, kw_only=True):
    """A bundle after a push."""

    created: bool
    """False when the same bytes were there already."""


class BundleStore:
    """Every method takes the tenant's key first; a bundle of another tenant is NotFound. All may raise Unavailable."""

    def __init__(self, blobs: BlobStore, *, limits: Limits) -> None:
        self._blobs = blobs
        self._limits = limits
        self._configs: OrderedDict[str, Config] = OrderedDict()

    @property
    def limits(self) -> Limits:
        """How big a bundle may be: whoever takes uploads stops there."""
        return self._limits

    async def push(self, tenant_key: str, path: Path) -> PushedBundle:
        """Verify the bundle in a file and store it. Raises InvalidInput, TooLarge, NotFound as `verify` does.

        Raises Damaged when the file changed since, and when it is there already, but not with the bytes that it should
        have.
        """
        bundle = await to_thread.run_sync(verify, path, self._limits)
        digest = bundle.model_bundle_hash
        shelf = bundle_shelf(tenant_key)
        try:
            await self._blobs.write(shelf.container, shelf.blob(digest), _read(path), sha256=digest)
            created = True
        except AlreadyExists:
            created = False
            await self.describe(tenant_key, digest)
        self._remember(digest, bundle.config)
        return PushedBundle(
            model_bundle_hash=digest, size=bundle.size, config=bundle.config, shelf=shelf, created=created
        )

    async def describe(self, tenant_key: str, digest: str) -> StoredBundle:
        """Tell size and configuration of a bundle, by its whole hash. Raises NotFound, Damaged.

        The bytes are read and hashed the first time; after that their hash says what they are.
        """
        shelf, size = await self._find(tenant_key, digest)
        config = self._configs.get(digest)
        if config is None:
            async with scratch_folder() as folder:
                await self.fetch(tenant_key, digest, folder / "bundle")
                config = await to_thread.run_sync(_config, folder / "bundle", self._limits)
        self._remember(digest, config)
        return StoredBundle(model_bundle_hash=digest, size=size, config=config, shelf=shelf)

    async def keep(self, tenant_key: str, bundle: StoredBundle, until: datetime) -> StoredBundle:
        """Copy a bundle to where regulatory data lies, locked at least until then. Raises NotFound, Damaged."""
        shelf = bundle_shelf(tenant_key, Retention.REGULATORY)
        digest = bundle.model_bundle_hash
        if not await self._is_on(shelf, digest):
            source = self._blobs.read(bundle.shelf.container, bundle.shelf.blob(digest))
            try:
                await self._blobs.write(shelf.container, shelf.blob(digest), source, locked_until=until, sha256=digest)
            except AlreadyExists:
                pass
            except Damaged as error:
                raise _damaged(digest, bundle.shelf) from error
        # What was there already may be locked for less; and a lock that does not hold is found here.
        await self._blobs.lock(shelf.container, shelf.blob(digest), until)
        return structs.replace(bundle, shelf=shelf)

    async def fetch(self, tenant_key: str, digest: str, target: Path) -> None:
        """Write a bundle into a new file.

        Raises NotFound, and Damaged when the stored bytes are not those that the hash names; the file is then gone.
        """
        shelf, _ = await self._find(tenant_key, digest)
        found = hashlib.sha256()
        async with await open_file(target, "xb") as file:
            async for chunk in self._blobs.read(shelf.container, shelf.blob(digest)):
                found.update(chunk)
                await file.write(chunk)
        if found.hexdigest() != digest:
            await AsyncPath(target).unlink()
            raise _damaged(digest, shelf)

    async def resolve(self, tenant_key: str, prefix: str) -> str:
        """Complete the first digits (8 or more) of a hash. Raises NotFound, InvalidInput (several, or no hex)."""
        if not _FEWEST_DIGITS <= len(prefix) <= _DIGITS or _HEX.fullmatch(prefix) is None:
            raise InvalidInput(f"bundle {prefix[:_DIGITS]!r} is not a hash: give 8 to 64 digits of 0-9 and a-f")
        found: set[str] = set()
        for shelf in _shelves(tenant_key):
            async for blob in self._blobs.list_blobs(shelf.container, shelf.blob(prefix)):
                found.add(blob.name.removeprefix(shelf.prefix))
                if len(found) > 1:
                    one, other = sorted(found)
                    raise InvalidInput(f"bundle {prefix} is ambiguous: {one} and {other} begin so; give more digits")
        if not found:
            raise _missing(prefix)
        return found.pop()

    async def _find(self, tenant_key: str, digest: str) -> tuple[Shelf, int]:
        """Where a bundle lies, and its size; the regulatory copy counts when there is no other any more."""
        for shelf in _shelves(tenant_key):
            with suppress(NotFound):
                return shelf, (await self._blobs.stat(shelf.container, shelf.blob(digest))).size
        raise _missing(digest)

    async def _is_on(self, shelf: Shelf, digest: str) -> bool:
        with suppress(NotFound):
            await self._blobs.stat(shelf.container, shelf.blob(digest))
            return True
        return False

    def _remember(self, digest: str, config: Config) -> None:
        self._configs[digest] = config
        self._configs.move_to_end(digest)
        while len(self._configs) > _REMEMBERED:
            self._configs.popitem(last=False)


def _shelves(tenant_key: str) -> list[Shelf]:
    return [bundle_shelf(tenant_key, retention) for retention in (Retention.STANDARD, Retention.REGULATORY)]


def _missing(digest: str) -> NotFound:
    return NotFound(f"there is no bundle {digest}; push it first")


def _damaged(digest: str, shelf: Shelf) -> Damaged:
    where = f"restore it, or delete it from {shelf.container} and push it again"
    return Damaged(f"the stored bundle {digest} is damaged: {where}")


def _config(path: Path, limits: Limits) -> Config:
    """Read the configuration of an archive that was verified when it was pushed."""
    with open_archive(path) as file:
        return read_config(file, read_entries(file, limits))


async def _read(path: Path) -> AsyncIterator[bytes]:
    async with await open_file(path, "rb") as file:
        while chunk := await file.read(CHUNK):
            yield chunk
