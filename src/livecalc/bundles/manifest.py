"""`manifest.json`: the SHA-256 of every other file of a bundle, by path."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from livecalc.bundles.paths import MAX_PATH_BYTES
from livecalc.domain.errors import InvalidInput
from livecalc.domain.modelconfig import MANIFEST_FILE

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ENTRY_BYTES = 6 * MAX_PATH_BYTES + 100
"""At most what one entry takes in JSON, with every character escaped."""


def encode_manifest(digests: Mapping[str, str]) -> bytes:
    """Write a manifest: keys sorted, an entry a line, the same bytes on any machine."""
    return (json.dumps(dict(digests), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def manifest_limit(files: int) -> int:
    """Tell how many bytes the manifest of so many files has at most."""
    return (files + 1) * _ENTRY_BYTES


def parse_manifest(data: bytes, files: Collection[str]) -> dict[str, str]:
    """Read a manifest that lists exactly these files, or raise InvalidInput with the first difference."""
    listed = _read(data)
    for path in sorted(listed.keys() - set(files)):
        raise InvalidInput(f"bundle refused: {MANIFEST_FILE} lists {path!r}, which is missing")
    for path in sorted(set(files) - listed.keys()):
        raise InvalidInput(f"bundle refused: {path!r} is not in {MANIFEST_FILE}")
    return listed


def _read(data: bytes) -> dict[str, str]:
    try:
        content = json.loads(data.decode(), object_pairs_hook=_entries)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"bundle refused: {MANIFEST_FILE} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"bundle refused: {MANIFEST_FILE} is not an object of paths and SHA-256 digests")
    return content  # pyright: ignore[reportUnknownVariableType]  (`_entries` made it)


def _entries(pairs: list[tuple[str, Any]]) -> dict[str, str]:
    entries: dict[str, str] = {}
    for path, digest in pairs:
        if path in entries:
            raise ValueError(f"{path!r} stands twice")
        if not isinstance(digest, str) or _SHA256.fullmatch(digest) is None:
            raise ValueError(f"the digest of {path!r} is not a SHA-256 in lower-case hex")
        entries[path] = digest
    return entries
