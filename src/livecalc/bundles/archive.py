"""Read a ZIP strictly: one reading only, no byte that belongs to no file, constant memory, nothing written.

Programs disagree about archives that are not laid out plainly, so everything else is refused. What the files hold
is not judged here.
"""

import os
import stat
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from msgspec import Struct

from livecalc.bundles import zipformat as z
from livecalc.bundles.limits import Limits
from livecalc.bundles.paths import MAX_PATH_BYTES, check_collisions, check_path
from livecalc.domain.errors import InvalidInput, TooLarge

CHUNK = 1 << 18
_MAX_EXTRA = 512


class Entry(Struct, frozen=True, kw_only=True):
    """A file in an archive."""

    path: str
    size: int
    compressed: int
    crc: int
    deflated: bool
    start: int
    """Where its data begins."""


def read_entries(file: BinaryIO, limits: Limits) -> dict[str, Entry]:
    """List an archive's files by path, in the archive's order.

    Raises InvalidInput (with the reason and the path), TooLarge. Empty folders' entries are checked and left out.
    """
    size = file.seek(0, os.SEEK_END)
    if size > limits.bytes:
        raise TooLarge(f"bundle refused: it has {size:,} bytes, over the limit of {limits.bytes:,}")
    end = _read_end(file, size, limits)
    headers = list(_read_directory(file, end))
    paths = [_path(header, name) for header, name, _ in headers]
    check_collisions(
        (path for path in paths if not path.endswith("/")),
        (path.removesuffix("/") for path in paths if path.endswith("/")),
    )
    for (header, _, _), path in zip(headers, paths, strict=True):
        _check_header(header, path, limits)
    total = sum(header.size for header, _, _ in headers)
    if total > limits.bytes:
        raise TooLarge(f"bundle refused: its files have {total:,} bytes, over the limit of {limits.bytes:,}")
    return _locate(file, headers, paths, end.directory_offset)


def stream(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """Yield a file's content in chunks. Raises InvalidInput as soon as it is not what its header says."""
    file.seek(entry.start)
    size, crc = 0, 0
    for chunk in _inflated(file, entry) if entry.deflated else _stored(file, entry):
        size += len(chunk)
        crc = zlib.crc32(chunk, crc)
        if size > entry.size:
            raise _refused(entry.path, f"is larger than the {entry.size:,} bytes that its header says")
        yield chunk
    if size != entry.size:
        raise _refused(entry.path, f"has {size:,} bytes, and its header says {entry.size:,}")
    if crc != entry.crc:
        raise _refused(entry.path, "does not have the CRC that its header says")


def read_small(file: BinaryIO, entry: Entry, limit: int) -> bytes:
    """Read a whole file of at most `limit` bytes. Raises TooLarge and whatever `stream` raises."""
    if entry.size > limit:
        raise TooLarge(f"bundle refused: {entry.path!r} has {entry.size:,} bytes, over the limit of {limit:,}")
    return b"".join(stream(file, entry))


_Header = tuple[z.CentralHeader, bytes, bytes]
"""A directory line, its name and its extra fields."""


def _refused(path: str, reason: str) -> InvalidInput:
    return InvalidInput(f"bundle refused: {path[:MAX_PATH_BYTES]!r} {reason}")


def _read_end(file: BinaryIO, size: int, limits: Limits) -> z.EndRecord:
    file.seek(0)
    begins = file.read(4)
    file.seek(max(0, size - z.END.size))
    data = file.read()
    if len(data) < z.END.size or not data.startswith(z.END_SIGNATURE) or data[-2:] != b"\0\0":
        whole = begins == z.LOCAL_SIGNATURE
        reason = "it is cut short, or something follows its end" if whole else "it is not a ZIP archive"
        raise InvalidInput(f"bundle refused: {reason}")
    end = z.EndRecord(*z.END.unpack(data))
    if end.entries > z.MAX_ENTRIES or max(end.directory_offset, end.directory_size) > z.MAX_BYTES:
        raise InvalidInput("bundle refused: it is a ZIP64 archive; bundles are under 4 GiB and 65,535 files")
    if end.entries > limits.files + 1:
        raise TooLarge(f"bundle refused: it has {end.entries:,} entries, over the limit of {limits.files:,} files")
    split = end.disk or end.directory_disk or end.disk_entries != end.entries
    if split or end.directory_offset + end.directory_size != size - z.END.size:
        raise InvalidInput("bundle refused: its directory is not where its end record says")
    if end.directory_size > end.entries * (z.CENTRAL.size + MAX_PATH_BYTES + _MAX_EXTRA):
        raise InvalidInput("bundle refused: its directory is larger than its files' names need")
    return end


def _read_directory(file: BinaryIO, end: z.EndRecord) -> Iterator[_Header]:
    file.seek(end.directory_offset)
    data = file.read(end.directory_size)
    position = 0
    for _ in range(end.entries):
        fixed = data[position : position + z.CENTRAL.size]
        if len(fixed) < z.CENTRAL.size or not fixed.startswith(z.CENTRAL_SIGNATURE):
            raise InvalidInput("bundle refused: its directory is damaged")
        header = z.CentralHeader(*z.CENTRAL.unpack(fixed))
        names = position + z.CENTRAL.size
        extras = names + header.name_length
        position = extras + header.extra_length + header.comment_length
        yield header, data[names:extras], data[extras : extras + header.extra_length]
    if position != len(data):
        raise InvalidInput("bundle refused: its directory is damaged")


def _path(header: z.CentralHeader, name: bytes) -> str:
    try:
        path = name.decode("utf-8" if header.flags & z.UTF8 else "ascii")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"bundle refused: the name {name[:MAX_PATH_BYTES]!r} is not marked as UTF-8") from error
    check_path(path.removesuffix("/") if header.size == 0 else path)
    return path


def _check_header(header: z.CentralHeader, path: str, limits: Limits) -> None:
    kind = stat.S_IFMT(header.external >> 16)
    if kind == stat.S_IFLNK:
        raise _refused(path, "is a link")
    if kind not in {0, stat.S_IFDIR if path.endswith("/") else stat.S_IFREG}:
        raise _refused(path, "is not a plain file")
    if header.flags & z.ENCRYPTED:
        raise _refused(path, "is encrypted")
    if header.flags & ~z.KNOWN_FLAGS or header.method not in {z.STORED, z.DEFLATED}:
        raise _refused(path, f"is compressed by method {header.method}, flags {header.flags:#06x}: store or deflate it")
    if max(header.size, header.compressed, header.offset) > z.MAX_BYTES or header.disk:
        raise _refused(path, "uses ZIP64 or a second disk, which bundles do not")
    if header.method == z.STORED and header.size != header.compressed:
        raise _refused(path, "is stored, but its two sizes differ")
    if header.size > limits.ratio * header.compressed:
        raise TooLarge(
            f"bundle refused: {path!r} grows from {header.compressed:,} to {header.size:,} bytes, "
            f"over the ratio limit of {limits.ratio}"
        )


def _locate(file: BinaryIO, headers: list[_Header], paths: list[str], stop: int) -> dict[str, Entry]:
    """Find each file's data, and hold that files follow one another without a gap or an overlap."""
    position, before = 0, ""
    found: dict[str, Entry] = {}
    for index in sorted(range(len(headers)), key=lambda index: headers[index][0].offset):
        header, path = headers[index][0], paths[index]
        if header.offset < position:
            raise InvalidInput(f"bundle refused: {path!r} overlaps {before!r}")
        if header.offset > position:
            raise InvalidInput(f"bundle refused: bytes before {path!r} belong to no file")
        start = _check_local(file, headers[index], path)
        position, before = start + header.compressed, path
        if position > stop:
            raise _refused(path, "reaches into the archive's directory")
        if header.flags & z.DESCRIPTOR:
            position += _descriptor(file, header, position, path)
        if not path.endswith("/"):
            found[path] = Entry(
                path=path,
                size=header.size,
                compressed=header.compressed,
                crc=header.crc,
                deflated=header.method == z.DEFLATED,
                start=start,
            )
    if position != stop:
        raise InvalidInput("bundle refused: bytes before its directory belong to no file")
    return found


def _check_local(file: BinaryIO, listed: _Header, path: str) -> int:
    """Hold that a file's own header says what the directory says; answer where its data begins."""
    header, name, extra = listed
    file.seek(header.offset)
    fixed = file.read(z.LOCAL.size)
    if len(fixed) < z.LOCAL.size or not fixed.startswith(z.LOCAL_SIGNATURE):
        raise _refused(path, "has no header of its own where the directory says")
    local = z.LocalHeader(*z.LOCAL.unpack(fixed))
    own_name, own_extra = file.read(local.name_length), file.read(local.extra_length)
    sizes = (header.crc, header.compressed, header.size)
    own_sizes = (local.crc, local.compressed, local.size)
    later = header.flags & z.DESCRIPTOR and own_sizes == (0, 0, 0)
    same = (own_name, local.flags, local.method) == (name, header.flags, header.method)
    if not same or not (own_sizes == sizes or later):
        raise _refused(path, "is described differently by its own header and by the directory")
    for fields in (extra, own_extra):
        if {z.ZIP64_EXTRA, z.UNICODE_PATH_EXTRA} & _extra_ids(fields):
            raise _refused(path, "has an extra field for ZIP64 or a second name, which bundles do not use")
    return header.offset + z.LOCAL.size + local.name_length + local.extra_length


def _extra_ids(data: bytes) -> set[int]:
    ids: set[int] = set()
    while len(data) >= 4:  # noqa: PLR2004  (two bytes of id, two of length)
        ids.add(int.from_bytes(data[:2], "little"))
        data = data[4 + int.from_bytes(data[2:4], "little") :]
    return ids


def _descriptor(file: BinaryIO, header: z.CentralHeader, position: int, path: str) -> int:
    """Length of the sizes that follow a file's data: 12 bytes, or 16 with a signature."""
    values = b"".join(value.to_bytes(4, "little") for value in (header.crc, header.compressed, header.size))
    file.seek(position)
    data = file.read(len(z.DESCRIPTOR_SIGNATURE + values))
    for form in (z.DESCRIPTOR_SIGNATURE + values, values):
        if data.startswith(form):
            return len(form)
    raise _refused(path, "is described differently by the bytes behind it and by the directory")


def _stored(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    left = entry.compressed
    while left and (chunk := file.read(min(CHUNK, left))):
        left -= len(chunk)
        yield chunk


def _inflated(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """Inflate at most a chunk at a time, however much a few bytes would give."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for data in _stored(file, entry):
            rest, full = data, True
            while (rest or full) and not inflate.eof:
                chunk = inflate.decompress(rest, CHUNK)
                rest, full = inflate.unconsumed_tail, len(chunk) == CHUNK
                yield chunk
            if inflate.unused_data:
                break
    except zlib.error as error:
        raise _refused(entry.path, "is damaged: it cannot be inflated") from error
    if not inflate.eof or inflate.unused_data:
        raise _refused(entry.path, "is damaged: its compressed data does not end where its header says")
