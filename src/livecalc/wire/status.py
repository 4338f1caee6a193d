"""Body of `/v1/platform/status`: who the caller is, and what answers."""

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
