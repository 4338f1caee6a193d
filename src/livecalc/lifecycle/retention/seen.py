"""What retention sees of a tenant's blobs: archives, jobs, bundles, and what stands against their deletion."""

from collections.abc import Iterable
from datetime import datetime
from typing import Self

from msgspec import Struct

from livecalc.blobs.port import BlobInfo
from livecalc.lifecycle.archive.places import Place
from livecalc.lifecycle.retention.marks import Mark, Target, bundle_key
from livecalc.wire.retention import Hold

Blob = tuple[str, BlobInfo]
"""With its container."""


class Stored(Struct, frozen=True, kw_only=True):
    """What some blobs are together, and whether the store itself protects one of them."""

    blobs: int = 0
    bytes: int = 0
    legal_hold: bool = False
    locked_until: datetime | None = None

    @classmethod
    def of(cls, infos: Iterable[BlobInfo]) -> Self:
        """Sum up."""
        stored = cls()
        for info in infos:
            stored = stored.plus(info)
        return stored

    def plus(self, info: BlobInfo) -> Self:
        """Count one more."""
        return type(self)(
            blobs=self.blobs + 1,
            bytes=self.bytes + info.size,
            legal_hold=self.legal_hold or info.legal_hold,
            locked_until=max(filter(None, (self.locked_until, info.locked_until)), default=None),
        )


class ArchiveSeen(Struct, frozen=True, kw_only=True):
    """The folder of an archive, with or without a manifest."""

    place: Place
    stored: Stored
    kept_until: datetime
    """The latest date that its path and container promise, or that the manifest or any blob states."""
    has_manifest: bool
    jobs: frozenset[str] | None
    """The jobs that the manifest lists; None when that is not known."""
    bundles: frozenset[str] = frozenset()
    """The bundles that the manifest names."""
    tenant_id: str | None = None
    """As the manifest says it."""
    unknown: str = ""
    """Why it must not be touched: something about it cannot be read."""

    @property
    def path(self) -> str:
        """`{bucket_id}/{timestamp}`."""
        return self.place.path

    @property
    def bucket_id(self) -> str:
        """Its bucket."""
        return self.path.partition("/")[0]

    @property
    def key(self) -> str:
        """Its name among everything of its tenant."""
        return f"{self.place.container}/{self.place.folder.rstrip('/')}"

    @property
    def target(self) -> Target:
        """What is deleted as one."""
        return Target(kind="archive", key=self.key, name=self.path, bucket_id=self.bucket_id, place=self.place)


class JobSeen(Struct, frozen=True, kw_only=True):
    """Records, results and logs of one job."""

    job_id: str
    bucket_id: str
    """Empty when nothing says it."""
    stored: Stored
    kept_until: datetime
    """Until when it is kept for its own sake."""
    model_bundle_hash: str | None
    """None when its record is gone, or cannot be read."""
    tenant_id: str | None = None
    unknown: str = ""

    @property
    def key(self) -> str:
        """Its name among everything of its tenant."""
        return f"jobs/{self.job_id}"

    @property
    def target(self) -> Target:
        """What is deleted as one."""
        return Target(kind="job", key=self.key, name=self.job_id, bucket_id=self.bucket_id)


class BundleSeen(Struct, frozen=True, kw_only=True):
    """A bundle, on one shelf or on both."""

    model_bundle_hash: str
    stored: Stored
    kept_until: datetime
    """Until when it is kept although no job needs it."""

    @property
    def key(self) -> str:
        """Its name among everything of its tenant."""
        return bundle_key(self.model_bundle_hash)

    @property
    def target(self) -> Target:
        """What is deleted as one."""
        return Target(kind="bundle", key=self.key, name=self.model_bundle_hash)


Seen = ArchiveSeen | JobSeen | BundleSeen


class TenantSeen(Struct, frozen=True, kw_only=True):
    """Everything of one tenant that retention goes by."""

    key: str
    tenant_id: str | None
    """The tenant's id, which its audit chain needs; None when it is written nowhere."""
    buckets: frozenset[str] = frozenset()
    """Those that have a namespace."""
    claimed: frozenset[str] = frozenset()
    """The paths of archives that are being written."""
    holds: tuple[Hold, ...] = ()
    archives: tuple[ArchiveSeen, ...] = ()
    jobs: tuple[JobSeen, ...] = ()
    bundles: tuple[BundleSeen, ...] = ()
    marks: tuple[Mark, ...] = ()
    """Deletions that were begun."""
    problems: tuple[str, ...] = ()
