"""Keys at an address: what may be an address, and what may go wrong there."""

import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from contracts.jwks_server import JwksServer, jwks_server

from livecalc.domain.errors import InvalidInput, Unavailable
from livecalc.identity.jwks import JwksUrl

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[JwksServer]:
    with jwks_server() as running:
        yield running


@pytest.fixture
async def source(server: JwksServer) -> AsyncIterator[JwksUrl]:
    opened = JwksUrl(server.url)
    yield opened
    await opened.close()


async def test_the_keys_as_they_are(server: JwksServer, source: JwksUrl) -> None:
    server.keys = [{"kty": "EC", "kid": "a"}, {"kty": "new-kind", "unknown": [1]}]
    assert await source.fetch() == server.keys
    server.keys = []
    assert await source.fetch() == []


@pytest.mark.parametrize("status", [204, 301, 302, 401, 404, 500, 503])
async def test_any_other_status(server: JwksServer, source: JwksUrl, status: int) -> None:
    server.status, server.body = status, b""
    with pytest.raises(Unavailable, match=f"answers status {status}"):
        await source.fetch()
    assert server.requests == 1


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"null", b'{"keys": 1}', b'{"keys": [1]}', b'{"keys":"\xff"}', b'{"x":' + b"[" * 5000]
)
async def test_no_key_set(server: JwksServer, source: JwksUrl, body: bytes) -> None:
    server.body = body
    with pytest.raises(Unavailable, match="no JWKS"):
        await source.fetch()


async def test_too_much(server: JwksServer, source: JwksUrl) -> None:
    server.body = b" " * (256 * 1024 + 1)
    with pytest.raises(Unavailable, match="more than 262144 bytes"):
        await source.fetch()


async def test_nobody_there() -> None:
    with jwks_server() as gone:
        source = JwksUrl(gone.url)
    with pytest.raises(Unavailable, match="does not answer"):
        await source.fetch()
    await source.close()


async def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = JwksUrl(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.2)
        with pytest.raises(Unavailable, match="does not answer"):
            await source.fetch()
        await source.close()


@pytest.mark.parametrize(
    "url", ["https://am.example/jwks", "http://localhost:1/x", "http://127.0.0.2/", "http://[::1]/"]
)
async def test_addresses_that_are_allowed(url: str) -> None:
    await JwksUrl(url).close()


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "http://am.example/jwks", "http://10.0.0.1/", "http://localhost.evil.example/", "ftp://localhost/",
        "https://", "https:///x", "file:///etc/passwd", "https://user:password@am.example/", "http://127.0.0.1@evil/",
        "http://[", "http://[::ffff:10.0.0.1]/", "http://0.0.0.0/",
    ],
)  # fmt: skip
def test_addresses_that_are_not(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        JwksUrl(url)
    assert "password@" not in caught.value.detail
