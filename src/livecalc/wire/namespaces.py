"""Bodies of `/v1/platform/namespaces`."""

from msgspec import Struct


class NamespaceCreated(Struct, frozen=True, kw_only=True):
    """The answer to creating a namespace, new or already active."""

    namespace: str
    bucket_id: str
    created_at: str


class Namespace(Struct, frozen=True, kw_only=True):
    """A bucket's namespace."""

    namespace: str
    bucket_id: str
    created_at: str
    last_activity: str | None
    """None when it is missing or unreadable."""
    status: str
    """`active`, `finalized`, `reaping`; `unknown` when the annotation says none of them."""
    pod_count: int
    pvc_count: int
    retention: str = "standard"
    reaped_by: str | None = None
    """Who holds the claim while it is being reaped."""


class ReapDiagnostics(Struct, frozen=True, kw_only=True):
    """What a reap archived."""

    logs_archived: bool
    sentinel_violations_indexed: int
    blob_paths: list[str]
    """Of the blobs that the manifest lists, and last of the manifest."""


class Reaped(Struct, frozen=True, kw_only=True):
    """The answer to a reap, done or failed."""

    success: bool
    namespace: str
    diagnostics: ReapDiagnostics
    message: str


class SweepEntry(Struct, frozen=True, kw_only=True):
    """What the sweep decides on one namespace."""

    namespace: str
    status: str
    idle_seconds: float | None
    pods: int
    decision: str
    """`keep`, `stamp`, `resume`, `reap`."""
    reason: str
