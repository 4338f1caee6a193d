"""The partition's file: what is written comes back, and whatever else lies there is found damaged."""

import hashlib
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.lib.format import read_array_header_1_0, read_magic, write_array_header_1_0
from numpy.typing import NDArray

from livecalc.domain.errors import Damaged
from livecalc.domain.jobs import JobState
from livecalc.domain.partitions import OutputPart, PartitionRecord, block_ranges
from livecalc.domain.resulthash import block_digest
from livecalc.pipeline.npyheader import npy_header
from livecalc.pipeline.partition import check_arrays, member_name, read_array, read_record, write_partition

NPV = "bus://results/npv"
INNER = "bus://scenarios/rates"
FIRST, STOP, BLOCK = 16, 45, 8


def values() -> NDArray[Any]:
    return np.arange((STOP - FIRST) * 3, dtype="<f8").reshape(-1, 3)


def part(array: NDArray[Any]) -> OutputPart:
    digests = [
        block_digest(first, stop, array[first - FIRST : stop - FIRST].tobytes()).hex()
        for first, stop in block_ranges(FIRST, STOP, BLOCK)
    ]
    return OutputPart(node="main", dtype=array.dtype.str, shape=array.shape, digests=digests)


def make_record(**changes: Any) -> PartitionRecord:
    record = PartitionRecord(
        job_id="j-01jdx4m8k3q7",
        index=1,
        first=FIRST,
        stop=STOP,
        block=BLOCK,
        attempt=0,
        state=JobState.SUCCEEDED,
        outputs={NPV: part(values()), INNER: part(values()[:, 0])},
        files={NPV: member_name(NPV)},
        started_at="2026-01-25T01:00:00Z",
        finished_at="2026-01-25T01:00:01Z",
    )
    return msgspec.structs.replace(record, **changes)


def write(folder: Path, record: PartitionRecord | None = None, array: NDArray[Any] | None = None) -> Path:
    source = folder / "npv.npy"
    np.save(source, values() if array is None else array)
    path = folder / "partition.zip"
    write_partition(path, record or make_record(), {NPV: source})
    return path


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = write(tmp_path)
    record = read_record(path)
    assert record == make_record()
    check_arrays(path, record)
    assert read_array(path, record, NPV).tolist() == values().tolist()


def test_it_is_an_ordinary_zip_of_ordinary_arrays_and_always_the_same(tmp_path: Path) -> None:
    path = write(tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["record.json", "results/npv.npy"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        with archive.open("results/npv.npy") as file:
            assert np.load(file, allow_pickle=False).tolist() == values().tolist()
    assert hashlib.sha256(write(tmp_path).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("first", "stop"), [(16, 24), (17, 18), (20, 41), (44, 45), (0, 30), (40, 100), (30, 30), (0, 10), (50, 60)]
)
def test_a_slice_is_read_by_the_jobs_scenarios(tmp_path: Path, first: int, stop: int, check: bool) -> None:  # noqa: FBT001
    path = write(tmp_path)
    rows = read_array(path, read_record(path), NPV, first=first, stop=stop, check=check)
    low, high = max(first, FIRST), min(stop, STOP)
    expected = values()[low - FIRST : high - FIRST] if high > low else np.empty((0, 3))
    assert rows.shape == expected.shape
    assert rows.tolist() == expected.tolist()


def test_a_failed_partition_has_a_record_alone(tmp_path: Path) -> None:
    record = make_record(
        state=JobState.FAILED, error="node 'main': ...", outputs={}, files={}, violations="offset:1,..."
    )
    path = tmp_path / "failed.zip"
    write_partition(path, record, {})
    assert read_record(path) == record
    check_arrays(path, record)
    with pytest.raises(Damaged, match="has no bus://results/npv"):
        read_array(path, record, NPV)


def test_a_changed_byte_names_its_block(tmp_path: Path) -> None:
    path = write(tmp_path)
    content = bytearray(path.read_bytes())
    place = content.index(values()[20].tobytes())  # scenario 36, in block 4
    content[place] ^= 1
    path.write_bytes(content)
    record = read_record(path)
    with pytest.raises(Damaged, match=r"npv, block 4 \(scenarios 32-39\) is not what was hashed"):
        check_arrays(path, record)
    with pytest.raises(Damaged, match="block 4"):
        read_array(path, record, NPV)
    assert read_array(path, record, NPV, check=False).shape == (29, 3)
    assert read_array(path, record, NPV, stop=30).tolist() == values()[:14].tolist()


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -30])
def test_a_cut_file_is_damaged(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Damaged):
        read_record(path)


def test_any_single_changed_byte_is_found_or_harmless(tmp_path: Path) -> None:
    whole = write(tmp_path).read_bytes()
    path = tmp_path / "changed.zip"
    for place in range(0, len(whole), 7):
        content = bytearray(whole)
        content[place] ^= 0x55
        path.write_bytes(content)
        try:
            record = read_record(path)
            check_arrays(path, record)
            array = read_array(path, record, NPV)
        except Damaged:
            continue
        assert array.tobytes() == values().tobytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"outputs": {}},
        {"first": FIRST - 8},
        {"stop": STOP + 1},
        {"first": STOP},
        {"block": 0},
        {"block": -8},
        {"block": 16},
        {"outputs": {NPV: msgspec.structs.replace(part(values()), dtype="|O")}},
        {"outputs": {NPV: msgspec.structs.replace(part(values()), dtype="<f4")}},
        {"outputs": {NPV: msgspec.structs.replace(part(values()), dtype="<f16")}},
        {"outputs": {NPV: msgspec.structs.replace(part(values()), shape=(29, 1 << 62))}},
        {"outputs": {NPV: msgspec.structs.replace(part(values()), shape=(29, -3))}},
        {"outputs": {NPV: msgspec.structs.replace(part(values()), shape=())}},
        {"outputs": {NPV: msgspec.structs.replace(part(values()), digests=[])}},
    ],
)
def test_a_record_that_does_not_fit_its_arrays_is_damaged(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = write(tmp_path, make_record(**changes))
    record = read_record(path)
    with pytest.raises(Damaged):
        check_arrays(path, record)


@pytest.mark.parametrize("name", ["results/other.npy", "record.json", ""])
def test_a_record_that_names_another_member_is_damaged(tmp_path: Path, name: str) -> None:
    path = write(tmp_path)
    with pytest.raises(Damaged):
        check_arrays(path, make_record(files={NPV: name}))


@pytest.mark.parametrize(
    "array",
    [values()[:-1], np.asfortranarray(values()), values().astype(">f8"), values().astype("f4"), np.array([1.0])],
)
def test_an_array_that_does_not_fit_its_record_is_damaged(tmp_path: Path, array: NDArray[Any]) -> None:
    path = write(tmp_path, array=array)
    with pytest.raises(Damaged):
        check_arrays(path, read_record(path))


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "partition.zip"
    source = tmp_path / "npv.npy"
    np.save(source, np.array([print], dtype=object), allow_pickle=True)
    write_partition(path, make_record(), {NPV: source})
    with pytest.raises(Damaged):
        check_arrays(path, read_record(path))


@pytest.mark.parametrize("shape", [(1,), (7, 3), (1000, 2, 5), (10**9,)])
@pytest.mark.parametrize("dtype", ["<f8", "|b1"])
def test_the_header_is_numpys(dtype: str, shape: tuple[int, ...]) -> None:
    buffer = io.BytesIO()
    write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    header = npy_header(dtype, shape)
    assert len(header) % 64 == 0
    assert read_magic(io.BytesIO(header)) == (1, 0)
    assert read_array_header_1_0(io.BytesIO(header[8:])) == (shape, False, np.dtype(dtype))
    assert header == buffer.getvalue()


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_compressed_member_is_refused(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("record.json", msgspec.json.encode(make_record()))
    with pytest.raises(Damaged):
        read_record(path)
    np.save(tmp_path / "npv.npy", values())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("record.json", msgspec.json.encode(make_record()))
        archive.write(tmp_path / "npv.npy", "results/npv.npy", kind)
    with pytest.raises(Damaged):
        check_arrays(path, read_record(path))


def test_a_directory_that_points_elsewhere_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, place + 42, 0xFFFFFFF0)
    path.write_bytes(content)
    with pytest.raises(Damaged):
        check_arrays(path, read_record(path))


@pytest.mark.parametrize("depth", [1, 900])
def test_a_record_whose_environment_is_nested_is_damaged(tmp_path: Path, depth: int) -> None:
    """What is read here is written again, by an encoder that may come less deep."""
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    path = write(tmp_path, make_record(environment={"cpu": nested}))
    with pytest.raises(Damaged):
        read_record(path)


@pytest.mark.parametrize("record", [b"", b"{}", b"[]", b"\xff", b'{"job_id": 1}', b'{"x":' + b"[" * 5000])
def test_a_record_of_another_kind_is_damaged(tmp_path: Path, record: bytes) -> None:
    path = tmp_path / "partition.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("record.json", record)
    with pytest.raises(Damaged):
        read_record(path)
