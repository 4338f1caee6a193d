"""Files that nodes read: `.npy` as an array, CSV and Parquet as a `Table` whose columns come onto the bus when used.

Arrow has no type stubs and is only imported for a table: both by `import_module`.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livecalc.domain.errors import ModelFailed
from livecalc.pipeline.bus import Bus, plain_bytes


class Table:
    """A table that a node reads: `table["age"]` is a read-only 1-D array, `table.arrow` the whole as Arrow."""

    def __init__(self, source: str, columns: list[str], read: Callable[[list[str] | None], Any], bus: Bus) -> None:
        self._source = source
        self._read = read
        self._bus = bus
        self.columns = columns
        """The names of its columns, in the file's order."""

    def __getitem__(self, column: str) -> NDArray[Any]:
        """Return a column: integers, floats, booleans, dates (datetime64) or text (fixed width), shape (rows,).

        Raises ModelFailed for a column that is not there, has missing values, or has no such type.
        """
        view = self._bus.view(self._source, column)
        if view is not None:
            return view
        if column not in self.columns:
            raise ModelFailed(f"{self._source} has no column {column!r}; it has {', '.join(self.columns)}")
        values = self._column(column)
        return self._bus.load(self._source, values, column=column, original=lambda: plain_bytes(self._column(column)))

    def __repr__(self) -> str:
        return f"Table({self._source!r}, columns={self.columns})"

    @property
    def arrow(self) -> Any:
        """The whole table as a `pyarrow.Table`, for columns that are no plain arrays. Arrow memory has no canaries."""
        return self._read(None)

    def _column(self, column: str) -> NDArray[Any]:
        return _as_array(self._read([column]).column(column), f"column {column!r} of {self._source}")


def load_input(path: Path, source: str, bus: Bus) -> NDArray[Any] | Table:
    """Open a file that nodes name as `source`. Raises ModelFailed when it is not what its name says."""
    kinds = {".npy": _load_array, ".csv": _open_csv, ".parquet": _open_parquet}
    try:
        return kinds[path.suffix](path, source, bus)
    except (ValueError, OSError, EOFError) as error:  # what NumPy and Arrow raise on files they cannot read
        raise ModelFailed(f"{source} is not readable as {path.suffix}: {error}") from error


def _load_array(path: Path, source: str, bus: Bus) -> NDArray[Any]:
    def read() -> NDArray[Any]:
        return np.load(path, allow_pickle=False)

    return bus.load(source, read(), original=lambda: plain_bytes(read()))


def _open_csv(path: Path, source: str, bus: Bus) -> Table:
    csv: Any = import_module("pyarrow.csv")
    table: Any = csv.read_csv(path, read_options=csv.ReadOptions(use_threads=False))

    def read(columns: list[str] | None) -> Any:
        return table if columns is None else table.select(columns)

    return Table(source, table.column_names, read, bus)


def _open_parquet(path: Path, source: str, bus: Bus) -> Table:
    parquet: Any = import_module("pyarrow.parquet")
    file: Any = parquet.ParquetFile(path)

    def read(columns: list[str] | None) -> Any:
        return file.read(columns=columns, use_threads=False)

    return Table(source, file.schema_arrow.names, read, bus)


def _as_array(column: Any, label: str) -> NDArray[Any]:
    types: Any = import_module("pyarrow.types")
    if column.null_count:
        raise ModelFailed(f"{label} has {column.null_count} missing values: read it from table.arrow")
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if types.is_string(column.type) or types.is_large_string(column.type):
        return np.array(column.to_pylist(), dtype=np.str_)
    values: NDArray[Any] = column.to_numpy()
    if values.dtype.hasobject:
        raise ModelFailed(f"{label} is of type {column.type}, which is no plain array: read it from table.arrow")
    return values
