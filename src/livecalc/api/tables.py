"""Write a result's arrays as a table: Arrow's IPC stream, Parquet or CSV.

The first column is the scenario, from 0; then one for each output, or, for an output with further axes, one for each
of its columns: `cashflow[0]`, `cashflow[1]`, ... in C order (`cube[0,2]`). Arrow and Parquet keep the outputs' shapes
in the schema's metadata, so that a reader can put them together again.
"""

# PyArrow has no types of its own:
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from os import SEEK_END
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
from starlette.responses import Response

from livecalc.api.streams import Stream
from livecalc.domain.errors import InvalidInput, NotFound
from livecalc.wire import media

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_COLUMNS = 20_000
_CHUNK = 1 << 20


async def table_response(
    arrays: "Mapping[str, NDArray[np.generic]]", outputs: Sequence[str], media_type: str
) -> Response:
    """Answer with a table of some outputs, or of all when none is named. Raises NotFound, InvalidInput.

    The table is written to an unnamed file first: its size is known then, and an error is still a problem.
    """
    for output in outputs:
        if output not in arrays:
            raise NotFound(f"there is no output {output[:60]!r}: the job has {', '.join(arrays)}")
    chosen = {name: arrays[name] for name in outputs} if outputs else arrays
    file = await asyncio.to_thread(_written, chosen, media_type)
    size = file.seek(0, SEEK_END)
    file.seek(0)
    return Stream(_chunks(file), media_type, headers={"Content-Length": str(size)}, cleanup=file.close)


def _written(arrays: "Mapping[str, NDArray[np.generic]]", media_type: str) -> IO[bytes]:
    file = TemporaryFile()  # noqa: SIM115  (the response closes it)
    try:
        write_table(arrays, media_type, file)
    except BaseException:
        file.close()
        raise
    return file


async def _chunks(file: IO[bytes]) -> AsyncGenerator[bytes, None]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        yield chunk


def write_table(arrays: "Mapping[str, NDArray[np.generic]]", media_type: str, file: IO[bytes]) -> None:
    """Write outputs by name, axis 0 is scenarios, to an open file. Raises InvalidInput (too many columns)."""
    table = make_table(arrays)
    if media_type == media.ARROW:
        from pyarrow import ipc

        with ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    elif media_type == media.PARQUET:
        import pyarrow.parquet as pq

        pq.write_table(table, file)
    else:
        from pyarrow import csv

        csv.write_csv(table, file)


def make_table(arrays: "Mapping[str, NDArray[np.generic]]") -> pa.Table:
    """Lay outputs side by side."""
    width = sum(array[:1].size for array in arrays.values())
    if width > _MOST_COLUMNS:
        raise InvalidInput(f"the result has {width} columns, a table at most {_MOST_COLUMNS}: ask for fewer outputs")
    scenarios = max((len(array) for array in arrays.values()), default=0)
    columns: dict[str, pa.Array] = {media.SCENARIO_COLUMN: pa.array(np.arange(scenarios))}
    for name, array in arrays.items():
        columns.update(_columns(name, array))
    shapes = msgspec.json.encode({name: array.shape for name, array in arrays.items()})
    return pa.table(columns).replace_schema_metadata({media.SHAPES_KEY: shapes})


def _columns(name: str, array: "NDArray[np.generic]") -> dict[str, pa.Array]:
    if array.ndim == 1:
        return {name: pa.array(array)}
    return {
        f"{name}[{','.join(map(str, index))}]": pa.array(np.ascontiguousarray(array[(slice(None), *index)]))
        for index in np.ndindex(array.shape[1:])
    }
