"""How many rows an input has, told by its header where it has one. For notes at packing; no worker uses it."""

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

from livecalc.bundles.writer import read_chunks
from livecalc.domain.errors import InvalidInput

_LEAST_ROW = 0.5
"""Bytes that a row of a Parquet file takes at least, unless its columns are all but constant."""
_NPY_MAGIC = b"\x93NUMPY"
_NPY_HEADER = 1 << 16


def count_rows(file: Path, path: str, *, least: int) -> int:
    """Count the rows of a table, or the first dimension of an array; 0 for a file too small to have `least` of them.

    Raises InvalidInput when the file is not what its name says.
    """
    if file.stat().st_size < least * _LEAST_ROW:
        return 0
    if path.endswith(".npy"):
        return _npy_rows(file, path)
    if path.endswith(".parquet"):
        return _parquet_rows(file, path)
    return _csv_rows(file, path)


def _csv_rows(file: Path, path: str) -> int:
    lines, last = 0, b"\n"
    for chunk in read_chunks(file, path):
        lines += chunk.count(b"\n")
        last = chunk[-1:]
    return max(0, lines + (last != b"\n") - 1)


def _parquet_rows(file: Path, path: str) -> int:
    parquet: Any = import_module("pyarrow.parquet")  # it has no types, and is heavy
    try:
        return int(parquet.read_metadata(file).num_rows)
    except (ValueError, OSError) as error:  # pyarrow's own ArrowInvalid is a ValueError
        raise InvalidInput(f"{path!r} cannot be read as Parquet: {error}") from error


def _npy_rows(file: Path, path: str) -> int:
    """Read an array's header: magic, version, length, and a dictionary written as Python."""
    with file.open("rb") as source:
        head = source.read(_NPY_HEADER)
    wide = head[6:7] != b"\x01"
    start = 12 if wide else 10
    length = int.from_bytes(head[8:start], "little")
    try:
        header: Any = ast.literal_eval(head[start : start + length].decode())
        shape: tuple[int, ...] = header["shape"]
        rows = shape[0] if shape else 1
        kind = str(header["descr"])
    except (ValueError, SyntaxError, LookupError, TypeError, MemoryError, RecursionError) as error:
        raise InvalidInput(f"{path!r} cannot be read as an .npy array") from error
    if not head.startswith(_NPY_MAGIC):
        raise InvalidInput(f"{path!r} cannot be read as an .npy array")
    if "O" in kind:
        raise InvalidInput(f"{path!r} holds Python objects, which no worker loads; store numbers")
    return rows
