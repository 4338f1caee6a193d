"""Public keys as they come from a JWKS, each pinned to the one algorithm of its kind. Symmetric keys are none."""

from collections.abc import Mapping, Sequence
from typing import Any

from jwt import PyJWK, PyJWTError
from msgspec import Struct

from livecalc.identity.port import Jwk

_KINDS = {"ES256": ("EC", "P-256"), "RS256": ("RSA", None)}


class PublicKey(Struct, frozen=True):
    """A key and the algorithm that its signatures have."""

    algorithm: str
    key: Any


def usable_keys(jwks: Sequence[Jwk], algorithms: Sequence[str]) -> dict[str | None, PublicKey]:
    """Pick the signing keys of the given algorithms, by `kid`; what is not understood is passed over."""
    found: dict[str | None, PublicKey] = {}
    for jwk in jwks:
        algorithm = _algorithm(jwk)
        kid = jwk.get("kid")
        if algorithm is not None and algorithm in algorithms and (kid is None or isinstance(kid, str)):
            try:
                found[kid] = PublicKey(algorithm, PyJWK(dict(_public(jwk)), algorithm=algorithm).key)
            except PyJWTError:
                continue
    return found


def _algorithm(jwk: Jwk) -> str | None:
    for algorithm, (kind, curve) in _KINDS.items():
        fits = jwk.get("kty") == kind and jwk.get("crv") == curve
        if fits and jwk.get("use", "sig") == "sig" and jwk.get("alg", algorithm) == algorithm:
            return algorithm
    return None


def _public(jwk: Jwk) -> Mapping[str, Any]:
    """Leave away private parts, should someone publish them: only public keys verify."""
    return {name: value for name, value in jwk.items() if name in {"kty", "crv", "x", "y", "n", "e"}}
