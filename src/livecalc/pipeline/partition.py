"""The file of one partition: a ZIP, stored, with `record.json` and one `.npy` for each result.

Written by a worker that ran a user's code, read by the platform: a reader trusts nothing in it. NumPy is only
imported where arrays are read.
"""

import math
import struct
import zipfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import Damaged
from livecalc.domain.modelconfig import BUS
from livecalc.domain.partitions import OutputPart, PartitionRecord, block_ranges
from livecalc.domain.resulthash import block_digest
from livecalc.pipeline.dtypes import DTYPES
from livecalc.pipeline.npyheader import npy_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECORD = "record.json"
_RECORD_LIMIT = 512 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_UNIX = 3
_ENCRYPTED = 1
_COPY = 1 << 20
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_UNREADABLE = (zipfile.BadZipFile, struct.error, KeyError, ValueError, EOFError, NotImplementedError, RuntimeError)
"""What `zipfile` and `decode_json` raise on bytes that are not what they should be."""


def member_name(address: str) -> str:
    """Name the member that holds a result: `bus://results/npv` lies in `results/npv.npy`."""
    return address.removeprefix(BUS) + ".npy"


def write_partition(path: Path, record: PartitionRecord, arrays: Mapping[str, Path]) -> None:
    """Write a partition's file from its record and the `.npy` file of each result by address; nothing is compressed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with _new_member(archive, RECORD, 0) as member:
            member.write(msgspec.json.encode(record))
        for address, name in record.files.items():
            source = arrays[address]
            with source.open("rb") as data, _new_member(archive, name, source.stat().st_size) as member:
                while chunk := data.read(_COPY):
                    member.write(chunk)


def _new_member(archive: zipfile.ZipFile, name: str, size: int) -> IO[bytes]:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = _UNIX
    info.external_attr = _MODE
    info.file_size = size
    return archive.open(info, "w")


def read_record(path: Path) -> PartitionRecord:
    """Read the record of a partition's file. Raises Damaged when it is not one."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(RECORD)
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > _RECORD_LIMIT:
                raise Damaged(f"partition file {path.name} has a {RECORD} that this version does not write")
            return decode_json(archive.read(info), PartitionRecord)
    except _UNREADABLE as error:
        raise Damaged(f"partition file {path.name} is not readable: {error}") from error


def check_arrays(path: Path, record: PartitionRecord) -> None:
    """Check every result of a partition's file against its block digests, in constant memory.

    Raises Damaged, naming the first block whose bytes are not what was hashed.
    """
    for address in record.files:
        with _open_array(path, record, address) as array:
            for first, stop in block_ranges(record.first, record.stop, record.block):
                array.read(first, stop, check=True)


def read_array(  # noqa: PLR0913  (the last three are options)
    path: Path,
    record: PartitionRecord,
    address: str,
    *,
    first: int | None = None,
    stop: int | None = None,
    check: bool = True,
) -> "NDArray[Any]":
    """Read a result, or its scenarios `first` to `stop` (exclusive, numbered as in the whole job); axis 0 is scenarios.

    `check` compares each block with its digest. Raises Damaged, naming the block.
    """
    import numpy as np

    first = record.first if first is None else max(first, record.first)
    stop = record.stop if stop is None else min(stop, record.stop)
    with _open_array(path, record, address) as array:
        if stop <= first:
            return np.empty((0, *array.part.shape[1:]), array.part.dtype)
        if not check:
            return array.read(first, stop, check=False)
        edge = record.first + (first - record.first) // record.block * record.block
        blocks = [
            array.read(*block, check=True) for block in block_ranges(edge, record.stop, record.block) if block[0] < stop
        ]
        return np.concatenate(blocks)[first - edge : stop - edge]


class _StoredArray(Struct, frozen=True, kw_only=True):
    """An open `.npy` member whose header agrees with the record."""

    record: PartitionRecord
    address: str
    part: OutputPart
    file: IO[bytes]
    start: int
    row: int
    """Bytes of one scenario."""

    def read(self, first: int, stop: int, *, check: bool) -> "NDArray[Any]":
        """Read scenarios; with `check` they are exactly one block."""
        import numpy as np

        self.file.seek(self.start + (first - self.record.first) * self.row)
        data = self.file.read((stop - first) * self.row)
        if check:
            block = (first - self.record.first) // self.record.block
            if block_digest(first, stop, data).hex() != self.part.digests[block]:
                number = first // self.record.block
                raise Damaged(f"{self.address}, block {number} (scenarios {first}-{stop - 1}) is not what was hashed")
        return np.frombuffer(data, self.part.dtype).reshape(stop - first, *self.part.shape[1:])


@contextmanager
def _open_array(path: Path, record: PartitionRecord, address: str) -> Generator[_StoredArray]:
    part, name = record.outputs.get(address), record.files.get(address)
    if part is None or name is None:
        raise Damaged(f"partition file {path.name} has no {address}")
    _check_part(path, record, address, part)
    with path.open("rb") as file:
        try:
            end = _find_member(file, name)
            header = npy_header(part.dtype, part.shape)
            if file.read(len(header)) != header:
                raise ValueError(f"its .npy header is not the one of {part.dtype} {part.shape}")
        except _UNREADABLE as error:
            raise Damaged(f"partition file {path.name} has no readable {address}: {error}") from error
        start = file.tell()
        row = math.prod(part.shape[1:], start=int(part.dtype[2:]))
        if end - start != row * (record.stop - record.first):
            raise Damaged(f"partition file {path.name} holds {end - start} bytes of {address}, not what its shape says")
        yield _StoredArray(record=record, address=address, part=part, file=file, start=start, row=row)


def _check_part(path: Path, record: PartitionRecord, address: str, part: OutputPart) -> None:
    sound = (
        part.dtype in DTYPES
        and record.block > 0
        and record.first < record.stop
        and part.shape[:1] == (record.stop - record.first,)
        and all(size > 0 for size in part.shape)
        and len(part.digests) == len(block_ranges(record.first, record.stop, record.block))
    )
    if not sound:
        raise Damaged(f"partition file {path.name} states {address} as {part.dtype} {part.shape}, which cannot be")


def _find_member(file: IO[bytes], name: str) -> int:
    """Place a file at the first byte of a stored member and return where the member ends."""
    with zipfile.ZipFile(file) as archive:
        info = archive.getinfo(name)
    stored = info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
    if not stored or info.flag_bits & _ENCRYPTED:
        raise ValueError(f"member {name} is not stored as it is")
    file.seek(info.header_offset)
    magic, name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if magic != b"PK\x03\x04":
        raise ValueError(f"member {name} does not begin where the directory says")
    file.seek(name_length + extra_length, 1)
    return file.tell() + info.file_size
