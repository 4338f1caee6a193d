"""The identity of one machine: a key pair made on first start, published as JWKS like anybody else's."""

import asyncio
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from livecalc.domain.errors import Damaged, InvalidInput, Unavailable
from livecalc.domain.tenants import CLEANUP_USER
from livecalc.identity.claims import flaw_of
from livecalc.identity.port import Jwk

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

ISSUER = "livecalc-local"
AUDIENCE = "livecalc"
_KEY_FILE = "key.pem"
_OTHERS = 0o077
_KEY_SIZE_LIMIT = 16 * 1024


class LocalIdentity:
    """A key pair (EC P-256) in a folder, which is made when it is missing; both are readable by their owner alone."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def fetch(self) -> Sequence[Jwk]:
        """Return the one public key. Raises Unavailable (the folder), Damaged (the key)."""
        return await asyncio.to_thread(lambda: [_public_jwk(self._key())])

    async def close(self) -> None:
        """Nothing is held open."""

    def issue(self, tenant_id: str, user_id: str, ttl: timedelta) -> str:
        """Sign a token that ends after `ttl`. Raises InvalidInput (a name that no token may have), and as `fetch`."""
        import jwt

        for word, name in (("tenant", tenant_id), ("user", user_id)):
            flaw = flaw_of(name)
            if flaw is not None:
                raise InvalidInput(f"the {word} {flaw}; give another")
        if user_id == CLEANUP_USER:
            raise InvalidInput(f"the user {CLEANUP_USER!r} is the platform's own; give another")
        key = self._key()
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now,
            "exp": now + ttl,
            "tenant_id": tenant_id,
            "user_id": user_id,
        }
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": _public_jwk(key)["kid"]})

    def _key(self) -> "EllipticCurvePrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        path = self._root / _KEY_FILE
        try:
            key = load_pem_private_key(_read_or_make(path), password=None)
        except OSError as error:
            raise Unavailable(f"the identity's key {path} cannot be read or made: {error.strerror}") from error
        except (ValueError, TypeError):
            raise Damaged(f"the identity's key {path} is damaged; remove it, and a new one is made") from None
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise Damaged(f"the identity's key {path} is not of curve P-256; remove it, and a new one is made")
        return key


def _read_or_make(path: Path) -> bytes:
    with suppress(FileNotFoundError):
        return _read(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make(path)
    return _read(path)


def _read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if os.fstat(fd).st_mode & _OTHERS:
            raise Unavailable(f"the identity's key {path} is open to other users: run chmod 600 {path}")
        return os.read(fd, _KEY_SIZE_LIMIT)
    finally:
        os.close(fd)


def _make(path: Path) -> None:
    """Make the key; processes at once agree on one, because a link cannot replace a file."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, _new_pem())
        os.fsync(fd)
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.close(fd)
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _new_pem() -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_jwk(key: "EllipticCurvePrivateKey") -> dict[str, str]:
    """Write the public key as RFC 7517 does; its `kid` is its thumbprint (RFC 7638)."""
    import hashlib
    import json
    from base64 import urlsafe_b64encode

    def text(content: bytes) -> str:
        return urlsafe_b64encode(content).rstrip(b"=").decode()

    numbers = key.public_key().public_numbers()
    point = {
        "crv": "P-256",
        "kty": "EC",
        "x": text(numbers.x.to_bytes(32, "big")),
        "y": text(numbers.y.to_bytes(32, "big")),
    }
    thumbprint = hashlib.sha256(json.dumps(point, sort_keys=True, separators=(",", ":")).encode()).digest()
    return {**point, "kid": text(thumbprint), "use": "sig", "alg": "ES256"}
