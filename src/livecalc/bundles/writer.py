"""Write a bundle's archive: stored, in the order given, with nothing in it that tells who wrote it, where or when."""

import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from livecalc.bundles import zipformat
from livecalc.bundles.archive import CHUNK
from livecalc.domain.errors import InvalidInput, TooLarge


class Source(Struct, frozen=True, kw_only=True):
    """A file to be packed, as it was when it was first read."""

    path: str
    file: Path
    data: bytes | None
    """Its bytes, when they are not those on disk."""
    size: int
    crc: int
    sha256: str


def describe(file: Path, path: str, data: bytes | None = None) -> Source:
    """Read a file, or take `data` in its place, to know its size and digests. Raises InvalidInput."""
    digest, crc, size = hashlib.sha256(), 0, 0
    for chunk in read_chunks(file, path) if data is None else [data]:
        digest.update(chunk)
        crc = zlib.crc32(chunk, crc)
        size += len(chunk)
    return Source(path=path, file=file, data=data, size=size, crc=crc, sha256=digest.hexdigest())


def write_archive(out: BinaryIO, sources: Sequence[Source]) -> None:
    """Write the archive. Raises InvalidInput (a file changed meanwhile), TooLarge (ZIP64 would be needed)."""
    directory: list[bytes] = []
    offset = 0
    if len(sources) > zipformat.MAX_ENTRIES:
        raise TooLarge(f"{len(sources):,} files do not fit into a bundle; {zipformat.MAX_ENTRIES:,} do")
    for source in sources:
        name = source.path.encode()
        directory.append(zipformat.central_header(name, source.crc, source.size, offset))
        header = zipformat.local_header(name, source.crc, source.size)
        offset += len(header) + source.size
        if offset > zipformat.MAX_BYTES:
            raise TooLarge(f"{source.path!r} does not fit: a bundle is under 4 GiB")
        out.write(header)
        _copy(source, out)
    tail = b"".join(directory)
    if offset + len(tail) > zipformat.MAX_BYTES:
        raise TooLarge("the files do not fit: a bundle is under 4 GiB")
    out.write(tail + zipformat.end_record(len(directory), len(tail), offset))


def read_chunks(file: Path, path: str) -> Iterator[bytes]:
    """Read a file that is no link, in chunks; `path` is its name in errors. Raises InvalidInput."""
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as source:
            while chunk := source.read(CHUNK):
                yield chunk
    except OSError as error:
        raise InvalidInput(f"{path!r} cannot be read: {error.strerror}") from error


def _copy(source: Source, out: BinaryIO) -> None:
    digest, left = hashlib.sha256(), source.size
    for chunk in read_chunks(source.file, source.path) if source.data is None else [source.data]:
        left -= len(chunk)
        if left < 0:
            break
        digest.update(chunk)
        out.write(chunk)
    if left or digest.hexdigest() != source.sha256:
        raise InvalidInput(f"{source.path!r} changed while it was packed; pack again")
