"""The public keys of an issuer that publishes them at an address."""

import asyncio
import ipaddress
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Struct

from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import InvalidInput, Unavailable
from livecalc.identity.port import Jwk

_SIZE_LIMIT = 256 * 1024
_TIMEOUT_SECONDS = 10.0


class _KeySet(Struct):
    keys: list[dict[str, Any]]


class JwksUrl:
    """A JWKS at an `https:` address, or at an `http:` one of this machine. Raises InvalidInput for any other."""

    def __init__(self, url: str, *, timeout: float = _TIMEOUT_SECONDS) -> None:
        self._url = _checked(url)
        self._timeout = timeout
        self._client: httpx.AsyncClient | None = None

    async def fetch(self) -> Sequence[Jwk]:
        """Fetch the keys. Raises Unavailable: no answer in time, or none that is a JWKS of at most 256 KiB."""
        if self._client is None:
            self._client = httpx.AsyncClient(follow_redirects=False, timeout=self._timeout)
        try:
            async with asyncio.timeout(self._timeout):
                content = await self._get(self._client)
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._unavailable(f"does not answer ({type(error).__name__})") from error
        try:
            return decode_json(content, _KeySet).keys
        except msgspec.DecodeError:
            raise self._unavailable("answers no JWKS") from None

    async def _get(self, client: httpx.AsyncClient) -> bytes:
        async with client.stream("GET", self._url, headers={"Accept": "application/json"}) as response:
            if response.status_code != HTTPStatus.OK:
                raise self._unavailable(f"answers status {response.status_code}")
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > _SIZE_LIMIT:
                    raise self._unavailable(f"answers more than {_SIZE_LIMIT} bytes")
            return bytes(content)

    def _unavailable(self, what: str) -> Unavailable:
        return Unavailable(f"the token issuer's key address {self._url} {what}, so no token can be verified now")

    async def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    is_allowed = host and (parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host)))
    if not is_allowed or parts.username is not None or parts.password is not None:
        msg = "the address of the token issuer's keys must be an https: URL without a password (http: on this machine)"
        raise InvalidInput(msg)
    return url


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
