"""When keys are fetched, and which of them count."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from contracts.identity_adapters import public_jwk
from contracts.jwks_server import JwksServer, jwks_server
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from livecalc.domain.errors import Unauthenticated, Unavailable
from livecalc.identity.jwks import JwksUrl
from livecalc.identity.verifier import Verifier

pytestmark = pytest.mark.anyio

EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)


@pytest.fixture
def server() -> Iterator[JwksServer]:
    with jwks_server() as running:
        running.keys = [public_jwk(EC_KEY, "one")]
        yield running


@pytest.fixture
async def source(server: JwksServer) -> AsyncIterator[JwksUrl]:
    opened = JwksUrl(server.url)
    yield opened
    await opened.close()


class Ticks:
    """Seconds that a test counts."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def verifier(source: JwksUrl, ticks: Ticks) -> Verifier:
    return Verifier(source, issuer=None, audience=None, cooldown=30, lifetime=3600, now=ticks)


def token(key: Any = EC_KEY, kid: str | None = "one", algorithm: str = "ES256", **claims: Any) -> str:
    content = {"exp": datetime.now(UTC) + timedelta(minutes=5), "tenant_id": "acme", "user_id": "jane", **claims}
    return jwt.encode(content, key, algorithm=algorithm, headers=None if kid is None else {"kid": kid})


class TestFetching:
    async def test_keys_are_fetched_once(self, verifier: Verifier, server: JwksServer, ticks: Ticks) -> None:
        for _ in range(5):
            await verifier.verify(token())
            ticks.seconds += 100
        assert server.requests == 1

    async def test_many_at_once_wait_for_one_fetch(self, verifier: Verifier, server: JwksServer) -> None:
        await asyncio.gather(*(verifier.verify(token()) for _ in range(20)))
        assert server.requests == 1

    async def test_a_rotated_key_is_found_after_the_cooldown(
        self, verifier: Verifier, server: JwksServer, ticks: Ticks
    ) -> None:
        await verifier.verify(token())
        server.keys = [public_jwk(OTHER_KEY, "two")]
        with pytest.raises(Unauthenticated, match="does not publish"):
            await verifier.verify(token(OTHER_KEY, "two"))
        ticks.seconds += 29
        with pytest.raises(Unauthenticated):
            await verifier.verify(token(OTHER_KEY, "two"))
        assert server.requests == 1
        ticks.seconds += 1
        await asyncio.gather(*(verifier.verify(token(OTHER_KEY, "two")) for _ in range(10)))
        assert server.requests == 2
        with pytest.raises(Unauthenticated):
            await verifier.verify(token())

    async def test_unknown_keys_cannot_make_it_fetch_often(
        self, verifier: Verifier, server: JwksServer, ticks: Ticks
    ) -> None:
        await verifier.verify(token())
        for number in range(100):
            ticks.seconds += 3
            with pytest.raises(Unauthenticated):
                await verifier.verify(token(OTHER_KEY, f"unknown-{number}"))
        assert server.requests == 11

    async def test_a_withdrawn_key_ends_with_its_lifetime(
        self, verifier: Verifier, server: JwksServer, ticks: Ticks
    ) -> None:
        await verifier.verify(token())
        server.keys = [public_jwk(OTHER_KEY, "two")]
        ticks.seconds += 3599
        await verifier.verify(token())
        ticks.seconds += 1
        with pytest.raises(Unauthenticated):
            await verifier.verify(token())

    async def test_an_issuer_that_is_away_does_not_stop_known_keys(
        self, verifier: Verifier, server: JwksServer, ticks: Ticks
    ) -> None:
        await verifier.verify(token())
        server.status = 503
        ticks.seconds += 10_000
        await verifier.verify(token())
        with pytest.raises(Unavailable):
            await verifier.verify(token(OTHER_KEY, "two"))
        assert server.requests == 2

    async def test_an_issuer_that_was_away_at_first_is_asked_again(
        self, verifier: Verifier, server: JwksServer
    ) -> None:
        server.status = 503
        with pytest.raises(Unavailable, match="answers status 503"):
            await verifier.verify(token())
        server.status = 200
        await verifier.verify(token())

    async def test_nothing_is_fetched_for_what_is_no_token(self, verifier: Verifier, server: JwksServer) -> None:
        with pytest.raises(Unauthenticated):
            await verifier.verify("nonsense")
        assert server.requests == 0

    async def test_a_header_that_is_nested_too_deeply(self, verifier: Verifier, server: JwksServer) -> None:
        header = urlsafe_b64encode(b'{"alg":"ES256","kid":' + b"[" * 5000).rstrip(b"=").decode()
        with pytest.raises(Unauthenticated, match="the token cannot be read"):
            await verifier.verify(f"{header}.e30.AA")
        assert server.requests == 0


class TestKeys:
    async def test_rsa(self, verifier: Verifier, server: JwksServer) -> None:
        server.keys.append({**json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": "rsa"})
        await verifier.verify(token(RSA_KEY, "rsa", "RS256"))
        for algorithm in ("RS384", "RS512", "PS256"):
            with pytest.raises(Unauthenticated, match="algorithm"):
                await verifier.verify(token(RSA_KEY, "rsa", algorithm))

    async def test_a_short_rsa_key(self, verifier: Verifier, server: JwksServer) -> None:
        short = rsa.generate_private_key(65537, 1024)  # noqa: S505  (weak on purpose)
        server.keys.append({**json.loads(RSAAlgorithm.to_jwk(short.public_key())), "kid": "rsa"})
        with pytest.warns(jwt.InsecureKeyLengthWarning):
            weak = token(short, "rsa", "RS256")
        with pytest.raises(Unauthenticated):
            await verifier.verify(weak)

    async def test_an_algorithm_that_is_not_configured(self, source: JwksUrl, server: JwksServer) -> None:
        server.keys.append({**json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": "rsa"})
        verifier = Verifier(source, algorithms=("ES256",), issuer=None, audience=None)
        await verifier.verify(token())
        with pytest.raises(Unauthenticated):
            await verifier.verify(token(RSA_KEY, "rsa", "RS256"))

    async def test_another_curve(self, verifier: Verifier, server: JwksServer) -> None:
        key = ec.generate_private_key(ec.SECP384R1())
        server.keys.append({**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": "p384"})
        with pytest.raises(Unauthenticated):
            await verifier.verify(token(key, "p384", "ES384"))

    @pytest.mark.parametrize(
        "changes",
        [
            {"use": "enc"}, {"alg": "ES384"}, {"alg": "HS256"}, {"kty": "oct", "k": "c2VjcmV0"}, {"crv": "P-384"},
            {"x": "AA"}, {"x": "!"}, {"x": None}, {"y": 7}, {"kid": 7}, {"kid": ["one"]},
        ],
    )  # fmt: skip
    async def test_a_key_that_is_not_understood_is_none(
        self, verifier: Verifier, server: JwksServer, changes: dict[str, Any]
    ) -> None:
        server.keys = [{**public_jwk(EC_KEY, "one"), **changes}, public_jwk(OTHER_KEY, "two")]
        with pytest.raises(Unauthenticated):
            await verifier.verify(token())
        await verifier.verify(token(OTHER_KEY, "two"))

    async def test_a_symmetric_key_in_the_set_signs_nothing(self, verifier: Verifier, server: JwksServer) -> None:
        server.keys.append({"kty": "oct", "k": "YSBzZWNyZXQgb2YgYXQgbGVhc3QgMzIgYnl0ZXMsIGZvciBvbmNl", "kid": "oct"})
        with pytest.raises(Unauthenticated):
            await verifier.verify(token("a secret of at least 32 bytes, for once", "oct", "HS256"))

    async def test_without_a_key_id_there_must_be_one_key(
        self, verifier: Verifier, server: JwksServer, ticks: Ticks
    ) -> None:
        await verifier.verify(token(kid=None))
        server.keys.append(public_jwk(OTHER_KEY, "two"))
        ticks.seconds += 10_000
        with pytest.raises(Unauthenticated):
            await verifier.verify(token(kid=None))

    async def test_what_is_not_configured_is_not_asked_for(self, verifier: Verifier) -> None:
        await verifier.verify(token(iss="anyone", aud="anything"))
        await verifier.verify(token())
