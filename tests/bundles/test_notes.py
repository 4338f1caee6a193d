from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bundles import CONFIG, model_files, write_folder

from livecalc.bundles.pack import pack
from livecalc.domain.errors import InvalidInput

ARROW: Any = import_module("pyarrow")
PARQUET: Any = import_module("pyarrow.parquet")
ROWS = 200_000


def config_for(path: str, scenarios: int = 1000) -> dict[str, Any]:
    config = deepcopy(CONFIG)
    config["scenarios"] = {"count": scenarios, "block": 40}
    config["assumptions"].append({"ref": "policies/all:v1", "path": path})
    config["pipeline"]["nodes"][0]["inputs"] = {"rates": path}
    return config


def notes_on(tmp_path: Path, path: str, scenarios: int = 1000) -> list[str]:
    write_folder(tmp_path / "model", model_files(config_for(path, scenarios)))
    return [note for note in pack(tmp_path / "model", tmp_path / "x.zip").notes if note.startswith(path)]


def write_rows(tmp_path: Path, path: str) -> None:
    file = tmp_path / "model" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.arange(ROWS, dtype="f8")
    if path.endswith(".npy"):
        np.save(file, numbers)
    elif path.endswith(".csv"):
        file.write_bytes(b"number" + b"\n1" * ROWS)
    else:
        PARQUET.write_table(ARROW.table({"number": numbers}), file)


@pytest.mark.parametrize("path", ["inputs/policies.npy", "inputs/policies.csv", "inputs/policies.parquet"])
def test_tells_how_much_memory_rows_times_scenarios_are(tmp_path: Path, path: str) -> None:
    write_rows(tmp_path, path)
    (note,) = notes_on(tmp_path, path)
    assert note == (
        f"{path} has 200,000 rows: one double for each row and scenario is 1.5 GiB (61.0 MiB a block of 40); "
        "sum over rows in the model, and publish only the sums."
    )
    assert notes_on(tmp_path, path, scenarios=500) == []


@pytest.mark.parametrize(
    ("path", "data", "reason"),
    [
        ("inputs/x.parquet", b"no parquet" * 100_000, "cannot be read as Parquet"),
        ("inputs/x.npy", b"no array" * 100_000, "cannot be read as an .npy array"),
        ("inputs/x.npy", b"\x93NUMPY\1\0\x10\0" + b"{} " * 100_000, "cannot be read as an .npy array"),
    ],
)
def test_refuses_an_input_that_is_not_what_its_name_says(tmp_path: Path, path: str, data: bytes, reason: str) -> None:
    write_folder(tmp_path / "model", {path: data})
    with pytest.raises(InvalidInput, match=f"'{path}' {reason}"):
        notes_on(tmp_path, path)


def test_refuses_arrays_of_python_objects(tmp_path: Path) -> None:
    (tmp_path / "model" / "inputs").mkdir(parents=True)
    np.save(tmp_path / "model" / "inputs" / "x.npy", np.array([{}] * ROWS, dtype=object))
    with pytest.raises(InvalidInput, match="holds Python objects"):
        notes_on(tmp_path, "inputs/x.npy")


def test_tells_of_assumptions_that_nothing_reads_or_pins(tmp_path: Path) -> None:
    config = deepcopy(CONFIG)
    config["pipeline"]["nodes"][0]["inputs"] = {"rates": "assumptions/other.csv"}
    folder = write_folder(tmp_path / "model", model_files(config, {"assumptions/other.csv": b"rate\n1\n"}))
    assert pack(folder, tmp_path / "x.zip").notes == (
        "assumptions/rates.csv (rates/flat:v1) is read by no node.",
        "assumptions/other.csv is read, but no entry of `assumptions` pins its version.",
    )


def test_tells_of_a_result_that_is_not_kept(tmp_path: Path) -> None:
    config = deepcopy(CONFIG)
    config["pipeline"]["nodes"][0]["outputs"]["other"] = "bus://results/other"
    folder = write_folder(tmp_path / "model", model_files(config))
    (note,) = pack(folder, tmp_path / "x.zip").notes
    assert note == "bus://results/other of node draw is not in `results`, so it is not kept."
