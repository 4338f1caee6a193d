"""Files as nodes see them."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.models import NPV, node, write_model

from livecalc.domain.errors import ModelFailed
from livecalc.pipeline.bus import Bus
from livecalc.pipeline.table import Table, load_input

pa: Any = import_module("pyarrow")
pq: Any = import_module("pyarrow.parquet")

COLUMNS: dict[str, Any] = {
    "age": [20, 40, 59],
    "sum_assured": [100.5, 200.25, 300.0],
    "sex": ["M", "F", "M"],
    "smoker": [True, False, True],
    "missing": [1, None, 3],
}


def table(folder: Path, kind: str, bus: Bus) -> Table:
    content = pa.table(COLUMNS)
    path = folder / f"policies.{kind}"
    if kind == "parquet":
        pq.write_table(content, path)
    else:
        path.write_text("age,sum_assured,sex,smoker,missing\n20,100.5,M,true,1\n40,200.25,F,false,\n59,300,M,true,3\n")
    found = load_input(path, f"inputs/{path.name}", bus)
    assert isinstance(found, Table)
    return found


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_are_arrays(tmp_path: Path, kind: str) -> None:
    policies = table(tmp_path, kind, Bus())
    assert policies.columns == list(COLUMNS)
    assert {name: policies[name].dtype.str for name in ("age", "sum_assured", "sex", "smoker")} == {
        "age": "<i8",
        "sum_assured": "<f8",
        "sex": "<U1",
        "smoker": "|b1",
    }
    for name in ("age", "sum_assured", "sex", "smoker"):
        assert policies[name].tolist() == COLUMNS[name]
        assert not policies[name].flags.writeable


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_rest_is_arrow(tmp_path: Path, kind: str) -> None:
    policies = table(tmp_path, kind, Bus())
    assert policies.arrow["missing"].to_pylist() == [1, None, 3]
    assert policies.arrow.column_names == list(COLUMNS)
    with pytest.raises(ModelFailed, match=r"column 'missing' of inputs/policies.* has 1 missing values"):
        policies["missing"]
    with pytest.raises(ModelFailed, match="has no column 'ages'; it has age, sum_assured, sex"):
        policies["ages"]


def test_a_column_lies_on_the_bus_once_it_is_used(tmp_path: Path) -> None:
    bus = Bus()
    policies = table(tmp_path, "parquet", bus)
    assert bus.view("inputs/policies.parquet", "age") is None
    assert policies["age"] is policies["age"]
    assert bus.view("inputs/policies.parquet", "age") is policies["age"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, 2], pa.date32()), "<M8[D]"),
        (pa.array(["a", "bcd"]).dictionary_encode(), "<U3"),
        (pa.array(["ü", "€uro"], pa.large_string()), "<U4"),
        (pa.array([1, 2], pa.int8()), "|i1"),
        (pa.array([1.5, 2], pa.float32()), "<f4"),
        (pa.chunked_array([[1], [2]]), "<i8"),
    ],
)
def test_other_types(tmp_path: Path, values: Any, expected: str) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": values}), path)
    found = load_input(path, "x.parquet", Bus())
    assert isinstance(found, Table)
    assert found["x"].dtype.str == expected


def test_a_type_that_is_no_array_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": [[1, 2], [3]]}), path)
    found = load_input(path, "x.parquet", Bus())
    assert isinstance(found, Table)
    with pytest.raises(ModelFailed, match="which is no plain array: read it from table"):
        found["x"]


@pytest.mark.parametrize(
    "array", [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)), np.array(2.5), np.zeros(0)]
)
def test_npy_files_are_arrays(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "x.npy", array)
    found = load_input(tmp_path / "x.npy", "x.npy", Bus())
    assert isinstance(found, np.ndarray)
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    assert found.tolist() == array.tolist()


@pytest.mark.parametrize("name", ["x.npy", "x.parquet", "x.csv"])
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"PAR1PAR1", b"a,b\n1,2,3\n"])
def test_a_file_of_another_kind_is_said(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    if name.endswith(".csv") and content[:1] not in {b"", b"a"}:
        return  # one line of odd text is a CSV of one column
    with pytest.raises(ModelFailed, match=f"inputs/{name} is not readable as {Path(name).suffix}"):
        load_input(tmp_path / name, f"inputs/{name}", Bus())


def test_pickled_objects_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(ModelFailed, match="not readable"):
        load_input(tmp_path / "x.npy", "x.npy", Bus())


def test_a_model_reads_files_through_the_engine(tmp_path: Path) -> None:
    code = """
    def main(block, *, policies, rates):
        return np.full(len(block), policies["age"].sum() * rates[1])
    """
    inputs = {"policies": "inputs/policies.csv", "rates": "inputs/rates.npy"}
    model = write_model(tmp_path / "model", code, node("main", inputs=inputs, npv=NPV))
    (model.folder / "inputs").mkdir()
    (model.folder / "inputs/policies.csv").write_text("age\n20\n40\n")
    np.save(model.folder / "inputs/rates.npy", np.array([0.0, 0.5]))
    outcome = model.run(tmp_path / "scratch").outcome
    assert outcome.error is None
    assert np.load(outcome.arrays[NPV]).tolist() == [30.0] * 80
    assert outcome.environment["pyarrow"] == pa.__version__


def test_what_a_model_does_wrong_with_a_table_is_said_plainly(tmp_path: Path) -> None:
    code = "def main(block, *, policies): return policies['ages']"
    model = write_model(tmp_path / "model", code, node("main", inputs={"policies": "p.csv"}, npv=NPV))
    (model.folder / "p.csv").write_text("age\n20\n")
    error = model.run(tmp_path / "scratch").outcome.error
    assert error == "node 'main', scenarios 0-39: p.csv has no column 'ages'; it has age"


def test_a_broken_input_is_said_before_anything_runs(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", "", node("main", inputs={"policies": "p.parquet"}, npv=NPV))
    (model.folder / "p.parquet").write_bytes(b"nothing")
    error = model.run(tmp_path / "scratch").outcome.error or ""
    assert error.startswith("node 'main': p.parquet is not readable as .parquet: ")
