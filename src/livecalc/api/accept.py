"""Choose a media type by a request's `Accept` (RFC 9110, 12.5.1)."""

from collections.abc import Sequence

from livecalc.api.problems import Refusal


def negotiate(accept: str, offers: Sequence[str]) -> str:
    """Return the offer that is liked best; the first of equals. Raises Refusal (406) when none is."""
    wanted = [_parse(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    best = max(offers, key=lambda offer: _quality(offer, wanted))
    if _quality(best, wanted) <= 0:
        raise Refusal(406, f"Accept: {accept[:80]} asks for none of {', '.join(offers)}")
    return best


def _parse(part: str) -> tuple[str, float]:
    kind, *parameters = (each.strip() for each in part.lower().split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return kind, _weight(value)
    return kind, 1.0


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def _quality(offer: str, wanted: Sequence[tuple[str, float]]) -> float:
    """The weight of the most specific range that the offer falls in."""
    family = offer.partition("/")[0] + "/*"
    for scope in (offer, family, "*/*"):
        weights = [weight for kind, weight in wanted if kind == scope]
        if weights:
            return max(weights)
    return 0.0
