"""Names of containers and blobs, checked before any store sees them."""

import re
import unicodedata

from livecalc.domain.errors import InvalidInput

_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}", re.ASCII)
_NAME_LENGTH = 1024
_SEGMENT_BYTES = 200


def check_container(name: str) -> str:
    """Return a container name (3 to 63 of a-z, 0-9 and single '-') or raise InvalidInput."""
    if len(name) > 63 or _CONTAINER.fullmatch(name) is None:  # noqa: PLR2004  (the store's limit, said in the docstring)
        msg = f"container name {name[:80]!r} is not valid: use 3 to 63 of a-z, 0-9 and single '-'"
        raise InvalidInput(msg)
    return name


def check_blob(name: str) -> str:
    """Return a blob name or raise InvalidInput.

    At most 1,024 characters; segments between `/` are neither empty nor `.` nor `..`, at most 200 bytes of UTF-8,
    without control, format or unassigned characters, backslash, `%`, or a dot at the end (Azure drops it).
    """
    if len(name) > _NAME_LENGTH:
        msg = f"blob name {name[:40]!r}... is not valid: it has {len(name)} characters, at most {_NAME_LENGTH} are allowed"
        raise InvalidInput(msg)
    for segment in name.split("/"):
        if not _is_segment(segment):
            msg = f"blob name {name[:80]!r} is not valid: its part {segment[:40]!r} is not allowed"
            raise InvalidInput(msg)
    return name


def is_segment(text: str) -> bool:
    """Tell whether a text may stand between two `/` of a blob name."""
    return "/" not in text and _is_segment(text)


def _is_segment(segment: str) -> bool:
    if segment in {"", ".", ".."} or segment.endswith(".") or any(char in "\\%" for char in segment):
        return False
    if any(unicodedata.category(char).startswith("C") for char in segment):
        return False
    return len(segment.encode("utf-8", "replace")) <= _SEGMENT_BYTES
