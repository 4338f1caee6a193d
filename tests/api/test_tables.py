"""Tables of results: every shape and type that an output may have, to the last bit, in each form."""

# PyArrow has no types of its own:
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import csv
import io
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from pyarrow import ipc, parquet
from support.wire import Answering

from livecalc.api.tables import table_response, write_table
from livecalc.client import Client, ResultArray
from livecalc.domain.errors import InvalidInput, NotFound
from livecalc.pipeline.dtypes import DTYPES
from livecalc.wire import media
from livecalc.wire.jobs import Result

SHAPES = [(1,), (7,), (7, 1), (7, 3), (7, 2, 3)]


def values(dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    raw = np.random.default_rng(7).integers(0, 256, size=(*shape, np.dtype(dtype).itemsize), dtype="u1")
    if dtype == "|b1":
        return (raw[..., 0] % 2).astype(dtype)
    return raw.view(dtype).reshape(shape)


def written(arrays: dict[str, NDArray[Any]], kind: str) -> bytes:
    file = io.BytesIO()
    write_table(arrays, kind, file)
    return file.getvalue()


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("shape", SHAPES)
def test_arrays_come_out_as_they_went_in(dtype: str, shape: tuple[int, ...]) -> None:
    array = values(dtype, shape)
    raw = written({"other": np.zeros(len(array)), "npv": array}, media.ARROW)

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params.get_list("output") == ["npv"]
        assert request.headers["accept"] == media.ARROW
        return httpx.Response(200, content=written({"npv": array}, media.ARROW))

    client = Client(httpx.Client(transport=Answering(answer), base_url="http://x"), target="x")
    found = ResultArray(client, Result(job_id="j", result_hash="", outputs=[]), "npv").to_numpy()
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()
    table = ipc.open_stream(raw).read_all()
    stored = parquet.read_table(io.BytesIO(written({"other": np.zeros(len(array)), "npv": array}, media.PARQUET)))
    assert table.column_names == stored.column_names
    for name in table.column_names:
        assert table[name].to_numpy().tobytes() == stored[name].to_numpy().tobytes()
    shapes = {"other": [len(array)], "npv": list(shape)}
    for each in (table, stored):
        assert msgspec.json.decode(each.schema.metadata[media.SHAPES_KEY.encode()]) == shapes


def test_csv_keeps_every_bit_of_a_number() -> None:
    special = [0.0, -0.0, 0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 1e22, 123456789.123456789, np.inf, -np.inf]
    array = np.concatenate([np.array(special), values("<f8", (500,))])
    array = array[~np.isnan(array)]
    rows = list(csv.reader(io.StringIO(written({"npv": array}, media.CSV).decode())))
    assert rows[0] == ["scenario", "npv"]
    assert np.array([float(row[1]) for row in rows[1:]]).tobytes() == array.tobytes()
    assert written({"npv": np.array([np.nan])}, media.CSV) == b'"scenario","npv"\n0,nan\n'


def test_too_many_columns_are_refused() -> None:
    with pytest.raises(InvalidInput, match="30000 columns"):
        written({"cube": np.zeros((2, 100, 300))}, media.CSV)


@pytest.mark.anyio
async def test_outputs_are_chosen() -> None:
    arrays = {"a": np.zeros(3), "b": np.ones(3)}
    with pytest.raises(NotFound, match="there is no output 'c': the job has a, b"):
        await table_response(arrays, ["a", "c"], media.CSV)
    messages: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"} if len(messages) > 3 else {"type": "http.request"}

    async def send(message: Any) -> None:
        messages.append(message)

    response = await table_response(arrays, ["b"], media.CSV)
    await response({"type": "http", "method": "HEAD"}, receive, send)
    assert int(response.headers["content-length"]) == len(b'"scenario","b"\n0,1\n1,1\n2,1\n')
