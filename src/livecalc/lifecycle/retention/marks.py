"""The mark of a deletion under way: a blob, written before anything goes and taken away when the outcome is audited.

It lets whoever comes after a kill finish the deletion, and audit it once; and it keeps two from doing the same one.
"""

from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import Struct

from livecalc.blobs.port import BlobStore, read_all
from livecalc.domain.errors import AlreadyExists, NotFound
from livecalc.domain.shelves import result_shelf
from livecalc.domain.timestamps import parse_timestamp
from livecalc.lifecycle.archive.places import Place
from livecalc.records import paths

Kind = Literal["archive", "job", "bundle"]


class Target(Struct, frozen=True, kw_only=True):
    """What is deleted as one."""

    kind: Kind
    key: str
    """Its name among everything of its tenant."""
    name: str
    """What people call it."""
    bucket_id: str = ""
    place: Place | None = None
    """Of an archive."""


class Mark(Struct, frozen=True, kw_only=True):
    """Who deletes what, since when."""

    target: Target
    tenant_id: str
    request_id: str
    """The same for all who continue it."""
    holder: str
    started_at: str
    detail: dict[str, Any]
    """What goes, for audit."""

    def is_left(self, holder: str, now: datetime, patience: timedelta) -> bool:
        """Tell whether `holder` may go on with it: it is its own, or so old that whoever began it is dead."""
        started_at = parse_timestamp(self.started_at)
        return self.holder == holder or started_at is None or now - started_at >= patience


class Marks:
    """The marks of one tenant."""

    def __init__(self, blobs: BlobStore, tenant_key: str) -> None:
        self._blobs = blobs
        self._container = result_shelf(tenant_key).container

    async def read(self, prefix: str = "") -> tuple[list[Mark], list[str]]:
        """Read all whose keys begin with a prefix; and name those that cannot be read. Raises Unavailable."""
        names = [info.name async for info in self._blobs.list_blobs(self._container, paths.under_way(prefix))]
        found: list[Mark] = []
        damaged: list[str] = []
        for name in names:
            try:
                found.append(msgspec.json.decode(await read_all(self._blobs, self._container, name), type=Mark))
            except NotFound:
                continue
            except (msgspec.DecodeError, UnicodeDecodeError):
                damaged.append(name)
        return found, damaged

    async def make(self, mark: Mark) -> bool:
        """Write a mark; False when another has marked the same."""
        body = msgspec.json.format(msgspec.json.encode(mark), indent=1)
        try:
            await self._blobs.write(self._container, paths.under_way(mark.target.key), body)
        except AlreadyExists:
            return False
        return True

    async def remove(self, key: str) -> None:
        """Take a mark away."""
        try:
            await self._blobs.delete(self._container, paths.under_way(key))
        except NotFound:
            return
