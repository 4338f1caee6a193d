"""The bytes of a ZIP's headers as APPNOTE 6.3.10 gives them, in the part of the format that bundles use.

No ZIP64: a bundle is under 4 GiB and has under 65,535 entries. Nothing here reads or writes files.
"""

import struct
from typing import NamedTuple

STORED = 0
DEFLATED = 8
MAX_BYTES = 0xFFFFFFFF - 1
MAX_ENTRIES = 0xFFFF - 1

ENCRYPTED = 0x0001 | 0x0040 | 0x2000
"""Flags: encrypted, strongly encrypted, headers masked."""
DESCRIPTOR = 0x0008
"""Flag: sizes and CRC follow the data."""
UTF8 = 0x0800
KNOWN_FLAGS = DESCRIPTOR | UTF8 | 0x0006
"""The rest are two bits that say how hard the compressor tried."""

ZIP64_EXTRA = 0x0001
UNICODE_PATH_EXTRA = 0x7075

LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
LOCAL_SIGNATURE = b"PK\x03\x04"
CENTRAL_SIGNATURE = b"PK\x01\x02"
END_SIGNATURE = b"PK\x05\x06"
DESCRIPTOR_SIGNATURE = b"PK\x07\x08"

_MADE_BY_UNIX = 3 << 8 | 20
_NEEDS = 20
_TIME = 0
_DATE_1980 = 1 << 5 | 1
_MODE = 0o100644 << 16


class LocalHeader(NamedTuple):
    """What stands before a file's data."""

    signature: bytes
    needs: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    compressed: int
    size: int
    name_length: int
    extra_length: int


class CentralHeader(NamedTuple):
    """A file's line in the directory at the archive's end."""

    signature: bytes
    made_by: int
    needs: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    compressed: int
    size: int
    name_length: int
    extra_length: int
    comment_length: int
    disk: int
    internal: int
    external: int
    offset: int


class EndRecord(NamedTuple):
    """The archive's last 22 bytes."""

    signature: bytes
    disk: int
    directory_disk: int
    disk_entries: int
    entries: int
    directory_size: int
    directory_offset: int
    comment_length: int


def local_header(name: bytes, crc: int, size: int) -> bytes:
    """Write a stored file's header as packing does: 1980-01-01, no extra fields."""
    fields = (LOCAL_SIGNATURE, _NEEDS, UTF8, STORED, _TIME, _DATE_1980, crc, size, size, len(name), 0)
    return LOCAL.pack(*fields) + name


def central_header(name: bytes, crc: int, size: int, offset: int) -> bytes:
    """Write a stored file's directory line as packing does: a plain file of mode 0644."""
    head = (CENTRAL_SIGNATURE, _MADE_BY_UNIX, _NEEDS, UTF8, STORED, _TIME, _DATE_1980, crc, size, size)
    return CENTRAL.pack(*head, len(name), 0, 0, 0, 0, _MODE, offset) + name


def end_record(entries: int, directory_size: int, directory_offset: int) -> bytes:
    """Write the archive's end."""
    return END.pack(END_SIGNATURE, 0, 0, entries, entries, directory_size, directory_offset, 0)
