"""What a token must say of its bearer. Names go into labels, logs and audit records, so they are kept plain."""

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from livecalc.domain.errors import Unauthenticated
from livecalc.domain.tenants import CLEANUP_USER, Principal

_NAME_LENGTH = 256


def principal_of(claims: Mapping[str, Any]) -> Principal:
    """Make a principal from the claims of a verified token. Raises Unauthenticated."""
    for claim in ("tenant_id", "user_id"):
        flaw = flaw_of(claims.get(claim))
        if flaw is not None:
            raise Unauthenticated(f"the token's {claim} {flaw}; ask for a token that names tenant and user")
    if claims["user_id"] == CLEANUP_USER:
        raise Unauthenticated(f"the token's user_id is {CLEANUP_USER!r}, which is the platform's own")
    return Principal(tenant_id=claims["tenant_id"], user_id=claims["user_id"], expires_at=_moment(claims["exp"]))


def flaw_of(name: object) -> str | None:
    """Say what is wrong with the name of a tenant or user; None when nothing is."""
    if name is None:
        return "is missing"
    if not isinstance(name, str):
        return "is no text"
    if not name.strip():
        return "is empty"
    if len(name) > _NAME_LENGTH:
        return f"has more than {_NAME_LENGTH} characters"
    if any(unicodedata.category(char).startswith("C") for char in name):
        return "has control characters"
    return None


def _moment(expires: Any) -> datetime:
    try:
        return datetime.fromtimestamp(int(expires), UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        raise Unauthenticated("the token's end is no time; ask for another token") from None
