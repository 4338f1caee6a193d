"""Bucket ids, and the one namespace that a bucket owns."""

import re

from livecalc.domain.errors import InvalidInput

NAMESPACE_PREFIX = "livecalc-bucket-"
RECOMPUTE_PREFIX = "mttc-"
_BUCKET_ID = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_BUCKET_ID_LENGTH = 47


def is_bucket_id(text: str) -> bool:
    """Tell whether a text is a bucket id: a DNS label of at most 47 characters."""
    return len(text) <= _BUCKET_ID_LENGTH and _BUCKET_ID.fullmatch(text) is not None


def is_recompute(bucket_id: str) -> bool:
    """Tell whether a bucket belongs to a recomputation, which lists hide."""
    return bucket_id.startswith(RECOMPUTE_PREFIX)


def check_bucket_id(text: str) -> str:
    """Return a bucket id that a user may choose, or raise InvalidInput; ids are never lowered or trimmed."""
    check_any_bucket_id(text)
    if is_recompute(text):
        msg = f"bucket id {text!r} is not valid: '{RECOMPUTE_PREFIX}' is reserved for recomputations"
        raise InvalidInput(msg)
    return text


def check_any_bucket_id(text: str) -> str:
    """Return a text that is a bucket id, of a recomputation's too, or raise InvalidInput."""
    if not is_bucket_id(text):
        msg = (
            f"bucket id {text[:60]!r} is not valid: use 1 to {_BUCKET_ID_LENGTH} of a-z, 0-9 and '-', "
            "beginning and ending with a letter or digit"
        )
        raise InvalidInput(msg)
    return text


def namespace_name(bucket_id: str) -> str:
    """Name the namespace of a bucket."""
    return NAMESPACE_PREFIX + bucket_id
