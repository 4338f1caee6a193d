"""Every source of keys that must pass `test_identity.py`, with the private key that belongs to it."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from contracts.jwks_server import jwks_server
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm

from livecalc.identity.jwks import JwksUrl
from livecalc.identity.local import AUDIENCE, ISSUER, LocalIdentity
from livecalc.identity.port import KeySource

ADAPTERS = ("local", "jwks")


@dataclass(frozen=True)
class Issuer:
    """A source of keys, and what is needed to sign as its issuer would."""

    keys: KeySource
    private: EllipticCurvePrivateKey
    kid: str
    issuer: str
    audience: str

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = datetime.now(UTC)
        claims = {
            "iss": self.issuer, "aud": self.audience, "iat": now, "nbf": now, "exp": now + timedelta(minutes=5),
            "tenant_id": "acme", "user_id": "jane",
        }  # fmt: skip
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    def sign(self, *, key: Any = None, algorithm: str = "ES256", kid: str | None = None, **changes: Any) -> str:
        headers = {"kid": self.kid if kid is None else kid}
        return jwt.encode(self.claims(**changes), key or self.private, algorithm=algorithm, headers=headers)


@contextmanager
def open_issuer(adapter: str, folder: Path) -> Generator[Issuer]:
    with {"local": _local, "jwks": _jwks}[adapter](folder) as issuer:
        yield issuer


@contextmanager
def _local(folder: Path) -> Generator[Issuer]:
    identity = LocalIdentity(folder / "identity")
    token = identity.issue("acme", "jane", timedelta(minutes=1))
    private = load_pem_private_key((folder / "identity/key.pem").read_bytes(), password=None)
    assert isinstance(private, EllipticCurvePrivateKey)
    yield Issuer(identity, private, jwt.get_unverified_header(token)["kid"], ISSUER, AUDIENCE)


@contextmanager
def _jwks(folder: Path) -> Generator[Issuer]:
    private = generate_private_key(SECP256R1())
    with jwks_server() as server:
        server.keys = [public_jwk(generate_private_key(SECP256R1()), "key-0"), public_jwk(private, "key-1")]
        yield Issuer(JwksUrl(server.url), private, "key-1", f"https://{folder.name}.example", "platform")


def public_jwk(private: EllipticCurvePrivateKey, kid: str) -> dict[str, Any]:
    jwk = json.loads(ECAlgorithm.to_jwk(private.public_key()))
    return {**jwk, "kid": kid, "use": "sig", "alg": "ES256"}
