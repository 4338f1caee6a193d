"""Bodies of `/v1/platform/status` (who the caller is, and what answers), `/healthz` and `/readyz`."""

from msgspec import Struct


class Status(Struct, frozen=True, kw_only=True):
    """The platform as the caller sees it."""

    version: str
    cluster: str
    store: str
    tenant_id: str
    user_id: str
    token_expires_at: str | None
    versions: dict[str, str]


class Health(Struct, frozen=True, kw_only=True):
    """Whether the process lives, and for readiness whether each part that it depends on answers."""

    status: str
    """`ok`."""
    version: str
    checks: dict[str, str]
    """`ok` by part: `cluster`, `blobs`; empty for liveness."""
