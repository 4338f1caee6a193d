"""What every source of keys must give, seen through the one verifier: good tokens pass, hostile ones do not."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from contracts.identity_adapters import ADAPTERS, Issuer, open_issuer
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from livecalc.domain.errors import Unauthenticated
from livecalc.domain.tenants import Principal
from livecalc.identity.verifier import Verifier

pytestmark = pytest.mark.anyio


@pytest.fixture(params=ADAPTERS)
async def issuer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Issuer]:
    with open_issuer(str(request.param), tmp_path) as opened:
        yield opened
        await opened.keys.close()


@pytest.fixture
def verifier(issuer: Issuer) -> Verifier:
    return Verifier(issuer.keys, issuer=issuer.issuer, audience=issuer.audience)


def by_hand(issuer: Issuer, algorithm: str, sign: Callable[[bytes], bytes], *, kid: str | None = None) -> str:
    claims = issuer.claims()
    claims = {name: int(value.timestamp()) if isinstance(value, datetime) else value for name, value in claims.items()}
    head = {"alg": algorithm, "typ": "JWT", "kid": issuer.kid if kid is None else kid}
    text = b".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
    return (text + b"." + encoded(sign(text))).decode()


def encoded(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")


def moments_ago(**parts: float) -> datetime:
    return datetime.now(UTC) - timedelta(**parts)


async def refused(verifier: Verifier, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await verifier.verify(token)
    told = caught.value.detail
    assert all(part[:20] not in told for part in token.split(".") if len(part) >= 20)
    assert "\n" not in told
    return told


async def test_only_public_keys_are_given(issuer: Issuer) -> None:
    keys = await issuer.keys.fetch()
    assert issuer.kid in {key["kid"] for key in keys}
    for key in keys:
        assert {"d", "p", "q", "dp", "dq", "qi", "k"}.isdisjoint(key)
        assert key["kty"] != "oct"


async def test_a_good_token(issuer: Issuer, verifier: Verifier) -> None:
    end = datetime(2099, 1, 1, tzinfo=UTC)
    principal = await verifier.verify(issuer.sign(exp=end))
    assert principal == Principal(tenant_id="acme", user_id="jane", expires_at=end)
    assert (await verifier.verify(issuer.sign(tenant_id="Größe & Co", user_id="j@x"))).tenant_id == "Größe & Co"
    assert (await verifier.verify(issuer.sign(aud=["x", issuer.audience]))).user_id == "jane"
    assert (await verifier.verify(issuer.sign(nbf=None, iat=None))).user_id == "jane"


async def test_no_signature(issuer: Issuer, verifier: Verifier) -> None:
    for algorithm in ("none", "None", "NONE", "nOnE", ""):
        await refused(verifier, by_hand(issuer, algorithm, lambda _: b""))
        await refused(verifier, by_hand(issuer, algorithm, lambda _: b"x" * 64))


async def test_hmac_with_the_public_key(issuer: Issuer, verifier: Verifier) -> None:
    public = issuer.private.public_key()
    keys = await issuer.keys.fetch()
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(dict(keys[-1])).encode(),
        b"",
    ]
    for algorithm, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
        for secret in secrets:
            token = by_hand(issuer, algorithm, lambda text, s=secret, d=digest: hmac.new(s, text, d).digest())
            assert "algorithm" in await refused(verifier, token)


async def test_another_key(issuer: Issuer, verifier: Verifier) -> None:
    assert "signature" in await refused(verifier, issuer.sign(key=generate_private_key(SECP256R1())))


async def test_an_unknown_key_id(issuer: Issuer, verifier: Verifier) -> None:
    for kid in ("", "unknown", issuer.kid + " ", "../../etc/passwd", "' OR 1=1", "https://evil.example/jwks"):
        assert "key that its issuer does not publish" in await refused(verifier, issuer.sign(kid=kid))


async def test_expired(issuer: Issuer, verifier: Verifier) -> None:
    assert "expired" in await refused(verifier, issuer.sign(exp=moments_ago(minutes=1)))


async def test_no_end(issuer: Issuer, verifier: Verifier) -> None:
    assert "'exp'" in await refused(verifier, issuer.sign(exp=None))
    ends: list[Any] = ["never", [], {}, True, 10**30, 1e400, "1" * 400]
    for end in ends:
        await refused(verifier, issuer.sign(exp=end))


async def test_not_valid_yet(issuer: Issuer, verifier: Verifier) -> None:
    assert "not valid yet" in await refused(verifier, issuer.sign(nbf=moments_ago(minutes=-2)))
    assert "not valid yet" in await refused(verifier, issuer.sign(iat=moments_ago(minutes=-2)))


async def test_clocks_may_differ_a_little(issuer: Issuer, verifier: Verifier) -> None:
    await verifier.verify(issuer.sign(exp=moments_ago(seconds=10)))
    await verifier.verify(issuer.sign(nbf=moments_ago(seconds=-10)))


async def test_another_audience(issuer: Issuer, verifier: Verifier) -> None:
    assert "audience" in await refused(verifier, issuer.sign(aud="another"))
    assert "audience" in await refused(verifier, issuer.sign(aud=["another", "third"]))
    assert "'aud'" in await refused(verifier, issuer.sign(aud=None))


async def test_another_issuer(issuer: Issuer, verifier: Verifier) -> None:
    assert "issuer" in await refused(verifier, issuer.sign(iss="https://evil.example"))
    assert "issuer" in await refused(verifier, issuer.sign(iss=issuer.issuer + "/"))
    assert "'iss'" in await refused(verifier, issuer.sign(iss=None))


@pytest.mark.parametrize("claim", ["tenant_id", "user_id"])
async def test_no_tenant_or_user(issuer: Issuer, verifier: Verifier, claim: str) -> None:
    values: list[Any] = [
        None,
        "",
        "  ",
        7,
        True,
        ["acme"],
        {"id": "acme"},
        "a\nb",
        "a\0",
        "a\u202eb",
        "\ud800",
        "x" * 257,
    ]
    for value in values:
        assert claim in await refused(verifier, issuer.sign(**{claim: value}))
    await verifier.verify(issuer.sign(**{claim: "x" * 256}))


async def test_the_platforms_own_user(issuer: Issuer, verifier: Verifier) -> None:
    assert "platform's own" in await refused(verifier, issuer.sign(user_id="system:cleanup-worker"))


async def test_cut_and_changed(issuer: Issuer, verifier: Verifier) -> None:
    token = issuer.sign()
    for cut in range(0, len(token), 7):
        await refused(verifier, token[:cut])
    for position in range(1, len(token) - 1, 11):
        other = "A" if token[position] != "A" else "B"
        await refused(verifier, token[:position] + other + token[position + 1 :])
    head, body, signature = token.split(".")
    for wrong in (f"{head}.{body}.", f"{head}..{signature}", f".{body}.{signature}", f"{head}.{body}", f"{token}.x"):
        await refused(verifier, wrong)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "...", "a.b.c", "é.é.é", "x" * 20_000, "\ud800", "e30.e30.e30", "null"]
)
async def test_no_token_at_all(verifier: Verifier, token: str) -> None:
    await refused(verifier, token)
