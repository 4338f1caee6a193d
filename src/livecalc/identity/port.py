"""What verifying tokens needs of an identity provider: its public keys."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Jwk = Mapping[str, Any]
"""A public key as RFC 7517 writes it."""


class KeySource(Protocol):
    """The port: the JWKS of one issuer."""

    async def fetch(self) -> Sequence[Jwk]:
        """Fetch the public keys as they are now. Raises Unavailable."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
