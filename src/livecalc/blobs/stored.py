"""JSON that was stored: bytes that are no such value are damage."""

from typing import TypeVar

import msgspec

from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import Damaged

T = TypeVar("T")


def decode_stored(raw: bytes, kind: type[T], what: str) -> T:
    """Read a stored value. Raises Damaged, which names `what`."""
    try:
        return decode_json(raw, kind)
    except msgspec.DecodeError as error:
        raise Damaged(f"{what} cannot be read: {error}") from None
