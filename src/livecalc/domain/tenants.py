"""Who asks: the tenant key, which names blob containers and labels, and the verified principal."""

import hashlib
import re
from datetime import datetime

from msgspec import Struct

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_KEY_LENGTH = 40
_HASH_PREFIX = "x-"


def tenant_key(tenant_id: str) -> str:
    """Turn a `tenant_id` claim into a DNS label of at most 40 characters.

    A label without `--` (blob containers forbid it) is its own key; anything else becomes `x-` and
    38 hex digits of its SHA-256, and so does a label that begins with `x-`: no two tenants share a key.
    """
    plain = (
        len(tenant_id) <= _KEY_LENGTH
        and _DNS_LABEL.fullmatch(tenant_id) is not None
        and "--" not in tenant_id
        and not tenant_id.startswith(_HASH_PREFIX)
    )
    if plain:
        return tenant_id
    digest = hashlib.sha256(tenant_id.encode("utf-8", "surrogatepass")).hexdigest()
    return _HASH_PREFIX + digest[: _KEY_LENGTH - len(_HASH_PREFIX)]


class Principal(Struct, frozen=True, kw_only=True):
    """A verified caller. Made by the verifier from a token, and by nothing else but the cleanup worker."""

    tenant_id: str
    user_id: str
    expires_at: datetime | None = None

    @property
    def tenant_key(self) -> str:
        """The tenant's key for labels and containers."""
        return tenant_key(self.tenant_id)


CLEANUP_USER = "system:cleanup-worker"
