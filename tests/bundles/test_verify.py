import hashlib
import json
import shutil
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from support.bundles import CONFIG, Member, archive, bundle, members, model_files, with_manifest, write_folder

from livecalc.bundles.limits import Limits
from livecalc.bundles.signatures import MAX_SOURCE
from livecalc.bundles.verify import verify
from livecalc.domain.errors import InvalidInput, NotFound, TooLarge

GOOD = model_files()
WRITE_TO_A_PIPE = """
import sys, zipfile
with zipfile.ZipFile(sys.stdout.buffer, "w", zipfile.ZIP_DEFLATED) as out:
    for name in sys.argv[1:]:
        out.write(name)
"""


def verified(tmp_path: Path, data: bytes, limits: Limits | None = None) -> Any:
    path = tmp_path / "bundle.zip"
    path.write_bytes(data)
    return verify(path, limits or Limits())


def refusal(tmp_path: Path, data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(InvalidInput) as refused:
        verified(tmp_path, data, limits)
    assert "\n" not in refused.value.detail
    return refused.value.detail


def test_accepts_a_good_bundle_and_says_what_is_in_it(tmp_path: Path) -> None:
    data = bundle(GOOD)
    found = verified(tmp_path, data)
    assert found.model_bundle_hash == hashlib.sha256(data).hexdigest()
    assert found.size == len(data)
    assert found.config.name == "small"
    assert {file.path: (file.size, file.sha256) for file in found.files} == {
        path: (len(content), hashlib.sha256(content).hexdigest()) for path, content in GOOD.items()
    }


def test_accepts_what_other_programs_write(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", with_manifest(GOOD))
    made = Path(shutil.make_archive(str(tmp_path / "shutil"), "zip", folder))
    assert any(name.endswith("/") for name in zipfile.ZipFile(made).namelist())
    command = [sys.executable, "-c", WRITE_TO_A_PIPE, *with_manifest(GOOD)]
    piped = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True).stdout
    assert struct.unpack_from("<H", piped, 6)[0] & 8, "a pipe cannot be wound back: sizes follow the data"
    (tmp_path / "streamed").write_bytes(piped)
    for path in (made, tmp_path / "streamed"):
        assert verify(path, Limits()).config.name == "small"


def test_says_that_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no bundle at"):
        verify(tmp_path / "none.zip", Limits())
    with pytest.raises(InvalidInput, match="cannot be read"):
        verify(tmp_path, Limits())


def test_refuses_a_missing_manifest(tmp_path: Path) -> None:
    assert refusal(tmp_path, archive(members(GOOD))) == "bundle refused: 'manifest.json' is missing"


def test_refuses_a_missing_configuration(tmp_path: Path) -> None:
    files = {path: data for path, data in GOOD.items() if path != "livecalc.config.json"}
    assert refusal(tmp_path, bundle(files)) == "bundle refused: 'livecalc.config.json' is missing"


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    files = with_manifest(GOOD)
    del files["model.py"]
    assert (
        refusal(tmp_path, archive(members(files))) == "bundle refused: manifest.json lists 'model.py', which is missing"
    )


def test_refuses_an_extra_file(tmp_path: Path) -> None:
    data = archive(members({**with_manifest(GOOD), "extra.py": b""}))
    assert refusal(tmp_path, data) == "bundle refused: 'extra.py' is not in manifest.json"


def test_refuses_a_manifest_that_lists_itself(tmp_path: Path) -> None:
    data = archive(members(with_manifest(GOOD, {**GOOD, "manifest.json": b""})))
    assert "lists 'manifest.json'" in refusal(tmp_path, data)


def test_refuses_a_hash_that_differs(tmp_path: Path) -> None:
    data = archive(members(with_manifest(GOOD, {**GOOD, "model.py": b"other"})))
    assert refusal(tmp_path, data) == "bundle refused: the SHA-256 of 'model.py' is not the one in manifest.json"


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b'{"model.py": 1}',
        b'{"model.py": "%s"}' % (b"F" * 64),
        b'{"model.py": "%s"}' % (b"f" * 63),
        b'{"model.py": {"a": "b"}}',
        b'{"a": "%s", "a": "%s"}' % (b"f" * 64, b"f" * 64),
        b"[" * 50_000,
    ],
)
def test_refuses_a_manifest_that_is_none(tmp_path: Path, manifest: bytes) -> None:
    assert "manifest.json" in refusal(tmp_path, archive(members({**GOOD, "manifest.json": manifest})))


def test_says_where_the_configuration_is_wrong(tmp_path: Path) -> None:
    config = {**CONFIG, "scenarios": {"count": 10, "block": 12}}
    assert "livecalc.config.json: $.scenarios.block: 12" in refusal(tmp_path, bundle(model_files(config)))
    assert "livecalc.config.json is not valid JSON" in refusal(tmp_path, bundle(model_files(b"{")))


def node_changed(**fields: Any) -> bytes:
    config = deepcopy(CONFIG)
    config["pipeline"]["nodes"][0].update(fields)
    return bundle(model_files(config))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (node_changed(engine="python://other.py:draw"), "$.pipeline.nodes[0].engine: 'other.py' is not in the bundle"),
        (node_changed(engine="python://model.py:other"), "python://model.py:other does not resolve"),
        (node_changed(engine="python://model.py:total"), "no keyword parameter 'rates'"),
        (node_changed(engine="python://../model.py:draw"), "'../model.py' is not in the bundle"),
        (node_changed(engine="R://model.R:draw"), "$.pipeline.nodes[0].engine: engine 'R://model.R:draw' does not"),
        (node_changed(inputs={"rates": "assumptions/none.csv"}), "'assumptions/none.csv' is not in the bundle"),
        (node_changed(inputs={"rates": "/etc/passwd.csv"}), "'/etc/passwd.csv' is not in the bundle"),
        (node_changed(inputs={"rates": "model.py"}), "'model.py' is of no supported type"),
        (node_changed(inputs={"rates": "bus://no/where"}), "reads bus://no/where, which no node writes"),
    ],
)
def test_refuses_addresses_that_do_not_resolve(tmp_path: Path, data: bytes, reason: str) -> None:
    assert reason in refusal(tmp_path, data)


def test_refuses_an_assumption_without_a_version(tmp_path: Path) -> None:
    config = {**CONFIG, "assumptions": [{"ref": "rates/flat", "path": "assumptions/rates.csv"}]}
    assert "$.assumptions[0].ref: 'rates/flat' has no pinned version" in refusal(tmp_path, bundle(model_files(config)))


def test_refuses_an_assumption_without_its_file(tmp_path: Path) -> None:
    config = {**CONFIG, "assumptions": [{"ref": "rates/flat:v1", "path": "assumptions/none.csv"}]}
    assert "$.assumptions[0].path: 'assumptions/none.csv'" in refusal(tmp_path, bundle(model_files(config)))


def test_says_that_there_is_no_wasm_engine_yet(tmp_path: Path) -> None:
    config = deepcopy(CONFIG)
    config["pipeline"]["nodes"][1]["engine"] = "wasm://total.wasm"
    data = bundle(model_files(config, {"total.wasm": b"\0asm"}))
    assert refusal(tmp_path, data) == "node 'total' needs wasm://total.wasm, and this version has no wasm engine yet"


def test_refuses_code_too_long_to_read(tmp_path: Path) -> None:
    data = bundle({**GOOD, "model.py": GOOD["model.py"] + b"#" * MAX_SOURCE})
    assert "'model.py' has 131,2" in refusal(tmp_path, data)
    config = deepcopy(CONFIG)
    names = [f"n{number}" for number in range(10)]
    config["pipeline"]["nodes"] += [
        {"id": name, "engine": f"python://{name}.py:draw", "outputs": {"x": f"bus://inner/{name}"}} for name in names
    ]
    data = bundle(model_files(config, {f"{name}.py": b"#" * MAX_SOURCE for name in names}))
    assert "its files with nodes have 1,310,8" in refusal(tmp_path, data)


def test_reads_a_file_once_however_many_nodes_it_has(tmp_path: Path) -> None:
    config = deepcopy(CONFIG)
    config["pipeline"]["nodes"] += [
        {"id": f"n{number}", "engine": "python://model.py:other", "outputs": {"x": f"bus://inner/n{number}"}}
        for number in range(900)
    ]
    code = b"def other(block, /): ...\n" + GOOD["model.py"] + b"pass\n" * 20_000
    begin = time.process_time()
    verified(tmp_path, bundle(model_files(config, {"model.py": code})))
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(bytes=1000), "over the limit of 1,000"),
        (Limits(files=2), "over the limit of 2 files"),
    ],
)
def test_keeps_to_the_limits(tmp_path: Path, limits: Limits, reason: str) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(bundle(GOOD))
    with pytest.raises(TooLarge, match=reason):
        verify(path, limits)


def test_counts_what_is_in_the_archive_and_not_only_its_own_size(tmp_path: Path) -> None:
    data = bundle({**GOOD, "inputs/x.csv": b"1,2,3\n" * 10_000}, deflate=True)
    with pytest.raises(TooLarge, match="its files have 6"):
        verified(tmp_path, data, Limits(bytes=50_000, ratio=2000))


def test_accepts_exactly_the_limits(tmp_path: Path) -> None:
    data = bundle(GOOD)
    assert verified(tmp_path, data, Limits(bytes=len(data), files=3, ratio=1)).size == len(data)


def test_verifies_in_constant_memory(tmp_path: Path) -> None:
    big = json.dumps("x" * 1000).encode() * 16_000
    for deflate in (False, True):
        path = tmp_path / "bundle.zip"
        path.write_bytes(bundle({**GOOD, "inputs/x.csv": big}, deflate=deflate))
        tracemalloc.start()
        verify(path, Limits(ratio=2000))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 << 20, f"{peak:,} bytes for a file of {len(big):,}"


def test_a_member_can_be_named_in_any_order(tmp_path: Path) -> None:
    entries = members(with_manifest(GOOD))[::-1]
    assert verified(tmp_path, archive([Member(name=b"assumptions/", mode=0o40755), *entries])).config.name == "small"
