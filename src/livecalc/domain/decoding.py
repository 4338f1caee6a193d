"""JSON that somebody else wrote, or that was stored: whatever its bytes are, it is a value or one error."""

from typing import TypeVar

import msgspec

T = TypeVar("T")


def decode_json(raw: bytes | str, kind: type[T]) -> T:
    """Read a value. Raises msgspec.DecodeError, also for what is not UTF-8 or is nested too deeply."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except UnicodeError as error:
        raise msgspec.DecodeError(str(error)) from None
    except RecursionError:
        raise msgspec.DecodeError("it is nested too deeply") from None
