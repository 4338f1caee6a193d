"""What is kept of a listing: of each archive and each job what is decided by, and none of its blobs.

So a look at a whole tenant takes as much memory as it has archives and jobs, however many blobs are in each.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Self

from msgspec import Struct

from livecalc.blobs.port import BlobInfo
from livecalc.domain.shelves import is_regulatory
from livecalc.domain.timestamps import parse_timestamp
from livecalc.lifecycle.archive.places import MANIFEST, RETAIN_UNTIL, Place
from livecalc.lifecycle.retention.seen import Blob, Stored
from livecalc.records import paths

_NEVER = datetime(9000, 1, 1, tzinfo=UTC)
"""Of a job of which nothing is known."""


class ArchiveFolder(Struct, kw_only=True):
    """The blobs of an archive, counted while they are listed."""

    place: Place
    stored: Stored = Stored()
    has_manifest: bool = False
    says_until: datetime | None = None
    """The latest date that one of them says."""
    is_clear: bool = True
    """Whether all can be read that they say of their retention."""

    @classmethod
    def of(cls, place: Place, blobs: Iterable[Blob]) -> Self:
        """Count blobs that were listed."""
        folder = cls(place=place)
        for _, info in blobs:
            folder.add(info)
        return folder

    def add(self, info: BlobInfo) -> None:
        """Count one more of its blobs."""
        self.stored = self.stored.plus(info)
        self.has_manifest = self.has_manifest or info.name == self.place.blob(MANIFEST)
        if RETAIN_UNTIL in info.metadata:
            self.hear(info.metadata[RETAIN_UNTIL])

    def hear(self, says: str) -> None:
        """Take in what something of it says of its retention."""
        until = parse_timestamp(says)
        if until is None:
            self.is_clear = False
        elif self.says_until is None or until > self.says_until:
            self.says_until = until


class JobFolder(Struct, kw_only=True):
    """The blobs of a job, counted while they are listed."""

    job_id: str
    bucket_id: str = ""
    """As the index has it; empty when it has none."""
    stored: Stored = Stored()
    recorded_in: tuple[str, ...] = ()
    """The containers in which there is a record of what was asked."""
    is_regulatory: bool = False
    """Whether any of them lies where regulatory data does."""
    ended: tuple[int, datetime] = (-1, _NEVER)
    """How well it is known when it ended, and that date; the later one of two that are known as well."""

    @classmethod
    def of(cls, job_id: str, bucket_id: str, blobs: Iterable[Blob]) -> Self:
        """Count blobs that were listed."""
        folder = cls(job_id=job_id, bucket_id=bucket_id)
        for container, info in blobs:
            folder.add(container, info)
        return folder

    def add(self, container: str, info: BlobInfo) -> None:
        """Count one more of its blobs."""
        self.stored = self.stored.plus(info)
        self.is_regulatory = self.is_regulatory or is_regulatory(container)
        if info.name.endswith(paths.submitted(self.job_id)) and container not in self.recorded_in:
            self.recorded_in += (container,)
        self.ended = max(self.ended, (self._tells_end(info.name), info.created_at))

    @property
    def ended_at(self) -> datetime:
        """When its end was recorded, else when it was submitted, else when the last of what is left was stored."""
        return self.ended[1]

    def _tells_end(self, name: str) -> int:
        """Tell how well a blob tells when the job ended.

        The end's record and the index go last, so that a deletion that was cut off does not change the date.
        """
        index = paths.index(self.bucket_id, self.job_id)
        best = (paths.finished(self.job_id), paths.submitted(self.job_id), index)
        return next((len(best) - place for place, each in enumerate(best) if name.endswith(each)), 0)
