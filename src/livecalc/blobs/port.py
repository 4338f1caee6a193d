"""What the platform needs of a blob store: write once, read, list, delete, and grants for worker pods.

Names are checked by `names` in every adapter. Every method may raise Unavailable and InvalidInput (a bad name).
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field

from livecalc.domain.errors import Damaged


class Verb(StrEnum):
    """What a grant allows on its one blob."""

    READ = "read"
    CREATE = "create"


class BlobInfo(Struct, frozen=True, kw_only=True):
    """What a store knows of a blob."""

    name: str
    size: int
    sha256: str
    """Of its bytes, hex, as its writer stated it; empty when it stated none (a blob made through an Azure grant)."""
    created_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    legal_hold: bool = False
    """Whether the store itself refuses to delete it, until the hold is taken away."""
    locked_until: datetime | None = None
    """Until when nobody at all can delete it; None when that is not so, also for a policy that can be taken back."""


Body = bytes | AsyncIterator[bytes]


class BlobStore(Protocol):
    """The port. A blob is there whole or not at all, and never replaced."""

    @property
    def name(self) -> str:
        """What people call this store: a folder, or an account's address; no secrets."""
        ...

    async def write(  # noqa: PLR0913  (a name, a body, and three things said of them)
        self,
        container: str,
        name: str,
        body: Body,
        *,
        metadata: Mapping[str, str] | None = None,
        locked_until: datetime | None = None,
        sha256: str | None = None,
    ) -> BlobInfo:
        """Store a blob, in constant memory; the container is made when it is missing, but for a regulatory one.

        `sha256` is what the body must have where that is known (hex). Raises Damaged when it has another.
        `locked_until` asks that it be neither changed nor deleted before then; `stat` tells whether it is so.
        Raises AlreadyExists (nothing is changed, the old blob stays), and InvalidInput where nothing can be locked.
        When the body raises, nothing becomes visible. A body that is a generator is closed when the write ends, however
        it ends, also when it was cancelled, or refused before anything was read.
        """
        ...

    async def lock(self, container: str, name: str, until: datetime) -> None:
        """See that a blob is neither changed nor deleted before `until`; a lock is never shortened or taken away.

        Raises NotFound, Unavailable (the store does not show the lock), InvalidInput where nothing can be locked.
        """
        ...

    async def protection(self, container: str) -> str | None:
        """Prove that locks hold in a container; None when they do, else a sentence: what is missing, and what to do."""
        ...

    async def stat(self, container: str, name: str) -> BlobInfo:
        """Tell what is known of a blob. Raises NotFound."""
        ...

    def read(self, container: str, name: str, *, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Stream a blob, or `length` bytes of it from `offset`. Raises NotFound.

        Who may stop before the end closes it (`streams.closing`): what was opened for it is let go then.
        """
        ...

    def list_blobs(self, container: str, prefix: str = "", *, after: str = "") -> AsyncIterator[BlobInfo]:
        """List blobs by name, those after `after`; nothing when the container is missing.

        A blob that `stat` says is damaged is listed without a digest. The order is that of UTF-8 bytes, but for
        characters beyond U+FFFF, which each store orders in its own way.
        """
        ...

    async def list_containers(self, prefix: str = "") -> list[str]:
        """Name the containers that begin with a prefix, in order."""
        ...

    async def delete(self, container: str, name: str) -> None:
        """Delete a blob. Raises NotFound, and Conflict while it is locked.

        A delete whose answer was lost is tried again, and so may say NotFound of what it deleted itself.
        """
        ...

    async def grant(self, container: str, name: str, verb: Verb, *, expires_at: datetime, limit: int) -> str:
        """Sign a URL for exactly one blob and one verb; `limit` is the most bytes that CREATE may store."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def refuse_unexpected(name: str, expected: str | None, found: str) -> None:
    """Raise Damaged when the body of a write has another digest than it must have, where that is known."""
    if expected not in {None, found}:
        raise Damaged(
            f"blob {name!r} was to have sha256 {expected}, and the bytes to store have {found}: nothing is stored"
        )


async def read_all(store: BlobStore, container: str, name: str) -> bytes:
    """Read a small blob whole. Raises NotFound."""
    return b"".join([chunk async for chunk in store.read(container, name)])


class GrantClient(Protocol):
    """What a worker does with grants; plain and synchronous, and it needs no SDK. One for each scheme of URL."""

    def fetch(self, url: str, target: Path, *, limit: int) -> int:
        """Write a blob into a new file and return its size.

        Raises Forbidden (the grant is of another blob or verb, expired, or forged), NotFound, TooLarge, Unavailable.
        """
        ...

    def create(self, url: str, source: Path, *, sha256: str) -> None:
        """Store a file as the grant's blob.

        Raises AlreadyExists (perhaps ours, from a try whose answer was lost: whoever collects compares digests),
        Forbidden, TooLarge, Unavailable.
        """
        ...
