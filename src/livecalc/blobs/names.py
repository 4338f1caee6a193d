"""Names of containers and blobs, checked before any store sees them."""

import re
import unicodedata
from collections.abc import Mapping

from livecalc.domain.errors import InvalidInput

_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}", re.ASCII)
_METADATA_KEY = re.compile(r"[a-z_][a-z0-9_]{0,63}", re.ASCII)
_METADATA_VALUE = re.compile(r"[ -~]*", re.ASCII)
_METADATA_LENGTH = 8000
_RESERVED = frozenset({"sha256", "upload"})
"""Keys under which a store keeps its own."""
_NAME_LENGTH = 1024
_SEGMENTS = 254
"""Azure's limit (Microsoft: "Naming and referencing containers, blobs, and metadata")."""
_SEGMENT_BYTES = 200


def check_container(name: str) -> str:
    """Return a container name (3 to 63 of a-z, 0-9 and single '-') or raise InvalidInput."""
    if len(name) > 63 or _CONTAINER.fullmatch(name) is None:  # noqa: PLR2004  (the store's limit, said in the docstring)
        msg = f"container name {name[:80]!r} is not valid: use 3 to 63 of a-z, 0-9 and single '-'"
        raise InvalidInput(msg)
    return name


def check_blob(name: str) -> str:
    """Return a blob name or raise InvalidInput.

    At most 1,024 characters and 254 segments. Segments between `/` are neither empty nor `.` nor `..`, at most 200
    bytes of UTF-8, without control, format or unassigned characters, backslash, `%`, or a dot at the end (Azure drops
    it).
    """
    if len(name) > _NAME_LENGTH:
        msg = f"blob name {name[:40]!r}... is not valid: it has {len(name)} characters, {_NAME_LENGTH} are allowed"
        raise InvalidInput(msg)
    segments = name.split("/")
    if len(segments) > _SEGMENTS:
        raise InvalidInput(f"blob name {name[:40]!r}... is not valid: it has more than {_SEGMENTS} parts between '/'")
    for segment in segments:
        if not _is_segment(segment):
            msg = f"blob name {name[:80]!r} is not valid: its part {segment[:40]!r} is not allowed"
            raise InvalidInput(msg)
    return name


def check_prefix(prefix: str) -> str:
    """Return what names may begin with, perhaps in the middle of a segment, or raise InvalidInput."""
    *above, last = prefix.split("/")
    if len(prefix) > _NAME_LENGTH or not all(map(_is_segment, above)) or not _is_text(last):
        raise InvalidInput(f"prefix {prefix[:80]!r} is not valid: no blob's name can begin with it")
    return prefix


def check_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Return a blob's metadata or raise InvalidInput.

    Keys are a-z, 0-9 and `_`, values printable ASCII without space at either end, all together at most 8,000
    characters: what every store can keep.
    """
    checked = dict(metadata or {})
    for key, value in checked.items():
        if key in _RESERVED:
            raise InvalidInput(f"metadata {key!r} is not valid: the store keeps its own under that key")
        if _METADATA_KEY.fullmatch(key) is None or _METADATA_VALUE.fullmatch(value) is None or value != value.strip():
            msg = f"metadata {key[:40]!r}: {value[:40]!r} is not valid: use a-z, 0-9 and '_' for keys, ASCII for values"
            raise InvalidInput(msg)
    if sum(len(key) + len(value) for key, value in checked.items()) > _METADATA_LENGTH:
        raise InvalidInput(f"a blob's metadata has more than {_METADATA_LENGTH} characters: store them as a blob")
    return checked


def _is_segment(segment: str) -> bool:
    if segment in {"", ".", ".."} or segment.endswith("."):
        return False
    return _is_text(segment)


def _is_text(text: str) -> bool:
    if text.isascii() and text.isprintable():  # as nearly all are
        return len(text) <= _SEGMENT_BYTES and "\\" not in text and "%" not in text
    if any(char in "\\%" or unicodedata.category(char).startswith("C") for char in text):
        return False
    return len(text.encode()) <= _SEGMENT_BYTES
