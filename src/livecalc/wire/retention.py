"""Bodies of `/v1/platform/retention`, and what `livecalc retention` prints with `--json`."""

from msgspec import Struct


class HoldRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be held, and why."""

    bucket_id: str
    timestamp: str | None = None
    """Of one archive; without it everything of the bucket is held."""
    reason: str


class Hold(Struct, frozen=True, kw_only=True):
    """A legal hold: while it is there, nothing under it is deleted."""

    bucket_id: str
    timestamp: str | None = None
    reason: str
    held_by: str
    held_at: str

    def covers(self, path: str) -> bool:
        """Tell whether it holds the archive `{bucket_id}/{timestamp}`."""
        bucket, _, timestamp = path.partition("/")
        return bucket == self.bucket_id and self.timestamp in {None, timestamp}


class RetentionEntry(Struct, frozen=True, kw_only=True):
    """What is decided on one archive, job or bundle."""

    kind: str
    """`archive`, `job`, `bundle`."""
    tenant: str
    name: str
    """`{bucket_id}/{timestamp}`, a job's id, a bundle's hash."""
    bucket_id: str | None
    kept_until: str
    """The date that was promised; what something else needs stays longer."""
    blobs: int
    """All that goes with it: of an archive the blobs that its manifest lists, and the manifest."""
    bytes: int
    decision: str
    """`keep`, `delete`."""
    reason: str


class RetentionBegun(Struct, frozen=True, kw_only=True):
    """A deletion that an earlier run left unfinished, and that is not among the planned ones."""

    kind: str
    tenant: str
    name: str
    bucket_id: str | None
    begun_at: str
    kept: str | None
    """Why it stays after all; None when the next run finishes it."""


class RetentionOutcome(Struct, frozen=True, kw_only=True):
    """What came of one planned deletion."""

    kind: str
    tenant: str
    name: str
    result: str
    """`deleted`, `kept`, `waiting`, `elsewhere`, `failed`."""
    message: str
    blobs: int = 0
    """All that went, counted as in a plan."""
    bytes: int = 0
