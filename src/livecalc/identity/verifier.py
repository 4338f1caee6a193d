"""The one way a token becomes a principal, whoever issued it."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt

from livecalc.domain.errors import LivecalcError, Unauthenticated
from livecalc.domain.tenants import Principal
from livecalc.identity.claims import principal_of
from livecalc.identity.keys import PublicKey, usable_keys
from livecalc.identity.port import KeySource

ALGORITHMS = ("ES256", "RS256")
_TOKEN_LENGTH = 16 * 1024
_REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "has expired; ask for a new one"),
    (jwt.ImmatureSignatureError, "is not valid yet; compare the clocks"),
    (jwt.InvalidAudienceError, "is for another audience"),
    (jwt.InvalidIssuerError, "is from another issuer"),
    (jwt.InvalidSignatureError, "has a wrong signature"),
    (jwt.InvalidAlgorithmError, "is signed with an algorithm that is not allowed"),
    (jwt.DecodeError, "cannot be read"),
)


class Verifier:
    """Verifies tokens with the keys of one issuer.

    `leeway` (seconds) is granted to clocks. An unknown `kid` fetches the keys again, but at most once in `cooldown`
    seconds of `now`; keys older than `lifetime` seconds are fetched again too, so that a withdrawn one ends.
    """

    def __init__(  # noqa: PLR0913  (each is one knob of verification, by name)
        self,
        keys: KeySource,
        *,
        algorithms: Sequence[str] = ALGORITHMS,
        issuer: str | None,
        audience: str | None,
        leeway: float = 30.0,
        cooldown: float = 30.0,
        lifetime: float = 3600.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._algorithms = tuple(algorithms)
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway
        self._ring = _KeyRing(keys, self._algorithms, cooldown=cooldown, lifetime=lifetime, now=now)

    async def verify(self, token: str) -> Principal:
        """Turn a token into a principal. Raises Unauthenticated (why, without the token), Unavailable (no keys)."""
        unverified_token = token
        key = await self._ring.find(_key_id(unverified_token))
        return principal_of(self._signed_claims(unverified_token, key))

    def _signed_claims(self, unverified_token: str, key: PublicKey) -> Mapping[str, Any]:
        required = ["exp"]
        if self._issuer is not None:
            required.append("iss")
        if self._audience is not None:
            required.append("aud")
        try:
            return jwt.decode(
                unverified_token,
                key=key.key,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway,
                options={
                    "verify_signature": True,
                    "verify_exp": True,
                    "verify_nbf": True,
                    "verify_iat": True,
                    "verify_iss": self._issuer is not None,
                    "verify_aud": self._audience is not None,
                    "verify_sub": False,
                    "verify_jti": False,
                    "strict_aud": False,
                    "require": required,
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token {_reason(error)}") from None


def _key_id(unverified_token: str) -> str | None:
    if len(unverified_token) > _TOKEN_LENGTH:
        raise Unauthenticated(f"the token is longer than {_TOKEN_LENGTH} characters")
    if not unverified_token.isascii():
        raise Unauthenticated("the token cannot be read")
    try:
        kid = jwt.get_unverified_header(unverified_token).get("kid")
    except jwt.PyJWTError as error:
        raise Unauthenticated(f"the token {_reason(error)}") from None
    if kid is not None and not isinstance(kid, str):
        raise Unauthenticated("the token cannot be read")
    return kid


def _reason(error: jwt.PyJWTError) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"has no {error.claim!r}"
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "is not valid")


class _KeyRing:
    """The issuer's keys as last fetched, and the rules of fetching them again."""

    def __init__(
        self,
        source: KeySource,
        algorithms: Sequence[str],
        *,
        cooldown: float,
        lifetime: float,
        now: Callable[[], float],
    ) -> None:
        self._source = source
        self._algorithms = algorithms
        self._cooldown = cooldown
        self._lifetime = lifetime
        self._now = now
        self._keys: dict[str | None, PublicKey] = {}
        self._tried_at: float | None = None
        self._fetched_at: float | None = None
        self._attempts = 0
        self._failure: LivecalcError | None = None
        self._turn = asyncio.Lock()

    async def find(self, kid: str | None) -> PublicKey:
        """Find the key that a token names. Raises Unauthenticated, Unavailable."""
        if self._should_fetch(kid):
            await self._fetch()
        key = self._pick(kid)
        if key is None:
            raise self._failure or Unauthenticated("the token names a key that its issuer does not publish")
        return key

    def _pick(self, kid: str | None) -> PublicKey | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    def _should_fetch(self, kid: str | None) -> bool:
        if self._fetched_at is None or self._tried_at is None:
            return True
        may_try = self._now() - self._tried_at >= self._cooldown
        if self._pick(kid) is None:
            return may_try or self._turn.locked()  # who wants a key waits for the fetch that is under way
        return may_try and self._now() - self._fetched_at >= self._lifetime

    async def _fetch(self) -> None:
        """Fetch once for all who wait; keys that are there stay in use while the issuer does not answer."""
        seen = self._attempts
        async with self._turn:
            if self._attempts == seen:
                await self._try()
            if self._failure is not None and self._fetched_at is None:
                raise self._failure

    async def _try(self) -> None:
        self._tried_at = self._now()
        self._failure = None
        try:
            jwks = await self._source.fetch()
        except LivecalcError as error:
            self._failure = error
        else:
            self._keys = usable_keys(jwks, self._algorithms)
            self._fetched_at = self._now()
        self._attempts += 1
