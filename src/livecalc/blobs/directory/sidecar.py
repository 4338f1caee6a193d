"""The record beside a blob, in a tree of its own: `.meta/{container}/{name}%.json`; no blob's name can have a `%`."""

import os
from datetime import datetime

import msgspec
from msgspec import Struct

from livecalc.blobs.directory.tree import open_file
from livecalc.blobs.port import BlobInfo
from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import Damaged

_SUFFIX = "%.json"
_READ_AT_ONCE = 64 * 1024


class Sidecar(Struct, frozen=True, kw_only=True):
    """What is remembered of a blob beside its bytes."""

    size: int
    sha256: str
    created_at: datetime
    metadata: dict[str, str]


def sidecar_name(leaf: str) -> str:
    """Name the record of a blob whose last segment is `leaf`."""
    return leaf + _SUFFIX


def info_of(name: str, sidecar: Sidecar) -> BlobInfo:
    """Tell a blob's record as the port does."""
    return BlobInfo(
        name=name,
        size=sidecar.size,
        sha256=sidecar.sha256,
        created_at=sidecar.created_at,
        metadata=sidecar.metadata,
    )


def read_sidecar(folder: int, name: str) -> Sidecar:
    """Read the record of blob `name` in the folder of its record. Raises FileNotFoundError and Damaged."""
    file = open_file(folder, sidecar_name(name.rpartition("/")[2]))
    try:
        content = os.read(file, _READ_AT_ONCE)
    finally:
        os.close(file)
    try:
        return decode_json(content, Sidecar)
    except msgspec.DecodeError as error:
        raise Damaged(f"the record of blob {name!r} cannot be read ({error}): restore it from a copy") from error
