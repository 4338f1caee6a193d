"""Which paths a file of a bundle may have: the same on every machine, and never outside its folder."""

import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain

from livecalc.domain.errors import InvalidInput

MAX_PATH_BYTES = 512
_MAX_SEGMENT_BYTES = 200
_FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Control, format (they can turn the direction of text), surrogate, private use, line and paragraph separators."""


def check_path(path: str) -> str:
    """Return a path of a bundle's file, or raise InvalidInput with the reason."""
    for fault in _faults(path):
        raise InvalidInput(f"bundle refused: path {path[:_MAX_SEGMENT_BYTES]!r} {fault}")
    return path


def check_collisions(files: Iterable[str], folders: Iterable[str] = ()) -> None:
    """Refuse paths that some file systems hold for one, and a file that is also a folder. Raises InvalidInput."""
    seen: dict[str, str] = {}
    for path in files:
        key = _folded(path)
        if key in seen:
            raise InvalidInput(f"bundle refused: {path!r} and {seen[key]!r} are one name twice")
        seen[key] = path
    for folder in chain(folders, *map(_folders, seen.values())):
        if file := seen.get(_folded(folder)):
            raise InvalidInput(f"bundle refused: {file!r} is a file, and a folder has that name too")


def _faults(path: str) -> Iterator[str]:
    """Say what is wrong with a path; nothing when it is fine."""
    if path.startswith(("/", "\\")):
        yield "is absolute"
    if "\\" in path:
        yield "has a backslash"
    if ":" in path:
        yield "has a colon, as drives have"
    if any(unicodedata.category(char) in _FORBIDDEN for char in path):
        yield "has a control character"
    if unicodedata.normalize("NFC", path) != path:
        yield "is not in Unicode normal form C"
    if len(path.encode()) > MAX_PATH_BYTES:
        yield f"is longer than {MAX_PATH_BYTES} bytes"
    for segment in path.split("/"):
        yield from _segment_faults(segment)


def _segment_faults(segment: str) -> Iterator[str]:
    if segment == "..":
        yield "leads outside the bundle"
    if segment in {"", "."}:
        yield "has an empty part"
    if segment.endswith((".", " ")):
        yield "has a part that ends with a dot or a space"
    if segment == "__pycache__" or segment.endswith((".pyc", ".pyo")):
        yield "is compiled Python: a bundle's code is its source"
    if len(segment.encode()) > _MAX_SEGMENT_BYTES:
        yield f"has a part longer than {_MAX_SEGMENT_BYTES} bytes"


def _folded(path: str) -> str:
    """A path as a file system sees it that ignores case."""
    return unicodedata.normalize("NFC", path.casefold())


def _folders(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))
