"""The mark of a deletion under way: a blob, written before anything goes and taken away when the outcome is audited.

It lets whoever comes after a kill finish the deletion, and audit it once; and it keeps two from doing the same one.
"""

from datetime import datetime, timedelta
from typing import Literal

import msgspec
from msgspec import Struct

from livecalc.blobs.port import BlobStore, read_all
from livecalc.blobs.stored import decode_stored
from livecalc.domain.errors import AlreadyExists, Damaged, NotFound
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
    """The process that began it, for whoever reads this."""
    started_at: str
    reason: str = ""
    """Why it goes."""

    def is_left(self, now: datetime, patience: timedelta) -> bool:
        """Tell whether another may go on with it: whoever began it is dead, or had a clock that was wrong."""
        started_at = parse_timestamp(self.started_at)
        return started_at is None or abs(now - started_at) >= patience


def bundle_key(model_bundle_hash: str) -> str:
    """The key of a bundle among everything of its tenant."""
    return f"bundles/{model_bundle_hash}"


class Marks:
    """The marks of one tenant."""

    def __init__(self, blobs: BlobStore, tenant_key: str) -> None:
        self._blobs = blobs
        self._container = result_shelf(tenant_key).container

    async def read(self) -> tuple[list[Mark], list[str]]:
        """Read all; and a sentence for each that cannot be. Raises Unavailable."""
        names = [info.name async for info in self._blobs.list_blobs(self._container, paths.UNDER_WAY)]
        found: list[Mark] = []
        damaged: list[str] = []
        for name in names:
            try:
                found.append(decode_stored(await read_all(self._blobs, self._container, name), Mark, f"mark {name}"))
            except NotFound:
                continue
            except Damaged:
                damaged.append(
                    f"the mark {name} cannot be read, so what it marks is neither deleted nor decided on: delete that "
                    f"blob from {self._container}, and the next run begins anew"
                )
        return found, damaged

    async def make(self, mark: Mark) -> bool:
        """Write a mark; False when another has marked the same."""
        body = msgspec.json.format(msgspec.json.encode(mark), indent=1)
        try:
            await self._blobs.write(self._container, paths.under_way(mark.target.key), body)
        except AlreadyExists:
            return False
        return True

    async def made_at(self, key: str) -> datetime | None:
        """Tell when a mark was made, by the store's own clock; None when there is none. Raises Unavailable, Damaged."""
        try:
            return (await self._blobs.stat(self._container, paths.under_way(key))).created_at
        except NotFound:
            return None

    async def remove(self, key: str) -> None:
        """Take a mark away."""
        try:
            await self._blobs.delete(self._container, paths.under_way(key))
        except NotFound:
            return
