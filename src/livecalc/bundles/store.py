"""Bundles in the blob store: one blob each, named by its hash, written once, in its tenant's own container."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from pathlib import Path

from anyio import Path as AsyncPath
from anyio import open_file, to_thread
from msgspec import Struct

from livecalc.blobs.port import BlobStore
from livecalc.blobs.scratch import scratch_folder
from livecalc.bundles.archive import CHUNK, read_entries
from livecalc.bundles.limits import Limits
from livecalc.bundles.verify import open_archive, read_config, verify
from livecalc.domain.errors import AlreadyExists, Damaged, InvalidInput, NotFound
from livecalc.domain.modelconfig import Config

_DIGITS = 64
_FEWEST_DIGITS = 8
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_REMEMBERED = 128


class StoredBundle(Struct, frozen=True, kw_only=True):
    """What is known of a bundle that is stored."""

    model_bundle_hash: str
    size: int
    config: Config


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

    @staticmethod
    def container(tenant_key: str) -> str:
        """Name the container of a tenant's bundles; a blob's name in it is the bundle's hash."""
        return f"bundles-{tenant_key}"

    async def push(self, tenant_key: str, path: Path) -> PushedBundle:
        """Verify the bundle in a file and store it. Raises InvalidInput, TooLarge, NotFound as `verify` does.

        Raises Damaged when it is there already, but not with the bytes that it should have.
        """
        bundle = await to_thread.run_sync(verify, path, self._limits)
        digest = bundle.model_bundle_hash
        try:
            await self._blobs.write(self.container(tenant_key), digest, _read(path, digest))
            created = True
        except AlreadyExists:
            created = False
            await self.describe(tenant_key, digest)
        self._remember(digest, bundle.config)
        return PushedBundle(model_bundle_hash=digest, size=bundle.size, config=bundle.config, created=created)

    async def describe(self, tenant_key: str, digest: str) -> StoredBundle:
        """Tell size and configuration of a bundle, by its whole hash. Raises NotFound, Damaged.

        The bytes are read and hashed the first time; after that their hash says what they are.
        """
        size = await self._size(tenant_key, digest)
        config = self._configs.get(digest)
        if config is None:
            async with scratch_folder() as folder:
                await self.fetch(tenant_key, digest, folder / "bundle")
                config = await to_thread.run_sync(_config, folder / "bundle", self._limits)
        self._remember(digest, config)
        return StoredBundle(model_bundle_hash=digest, size=size, config=config)

    async def fetch(self, tenant_key: str, digest: str, target: Path) -> None:
        """Write a bundle into a new file.

        Raises NotFound, and Damaged when the stored bytes are not those that the hash names; the file is then gone.
        """
        await self._size(tenant_key, digest)
        found = hashlib.sha256()
        async with await open_file(target, "xb") as file:
            async for chunk in self._blobs.read(self.container(tenant_key), digest):
                found.update(chunk)
                await file.write(chunk)
        if found.hexdigest() != digest:
            await AsyncPath(target).unlink()
            raise Damaged(
                f"the stored bundle {digest} is damaged, its bytes hash to {found.hexdigest()[:12]}: restore it, or "
                f"delete it from {self.container(tenant_key)} and push it again"
            )

    async def resolve(self, tenant_key: str, prefix: str) -> str:
        """Complete the first digits (8 or more) of a hash. Raises NotFound, InvalidInput (several, or no hex)."""
        if not _FEWEST_DIGITS <= len(prefix) <= _DIGITS or _HEX.fullmatch(prefix) is None:
            raise InvalidInput(f"bundle {prefix[:_DIGITS]!r} is not a hash: give 8 to 64 digits of 0-9 and a-f")
        found: list[str] = []
        async for blob in self._blobs.list_blobs(self.container(tenant_key), prefix):
            found.append(blob.name)
            if len(found) > 1:
                raise InvalidInput(
                    f"bundle {prefix} is ambiguous: {found[0]} and {found[1]} begin so; give more digits"
                )
        if not found:
            raise _missing(prefix)
        return found[0]

    async def _size(self, tenant_key: str, digest: str) -> int:
        try:
            return (await self._blobs.stat(self.container(tenant_key), digest)).size
        except NotFound as error:
            raise _missing(digest) from error

    def _remember(self, digest: str, config: Config) -> None:
        self._configs[digest] = config
        self._configs.move_to_end(digest)
        while len(self._configs) > _REMEMBERED:
            self._configs.popitem(last=False)


def _missing(digest: str) -> NotFound:
    return NotFound(f"there is no bundle {digest}; push it first")


def _config(path: Path, limits: Limits) -> Config:
    """Read the configuration of an archive that was verified when it was pushed."""
    with open_archive(path) as file:
        return read_config(file, read_entries(file, limits))


async def _read(path: Path, digest: str) -> AsyncIterator[bytes]:
    """Read the file as it was verified; when it changed since, the write fails and stores nothing."""
    found = hashlib.sha256()
    async with await open_file(path, "rb") as file:
        while chunk := await file.read(CHUNK):
            found.update(chunk)
            yield chunk
    if found.hexdigest() != digest:
        raise InvalidInput(f"{path} changed while it was pushed; push it again")
