import hashlib
import itertools
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bundles import CONFIG, FILES, archive, members, model_files, write_folder

from livecalc.bundles.limits import Limits
from livecalc.bundles.open import open_bundle
from livecalc.bundles.pack import pack
from livecalc.bundles.verify import verify
from livecalc.domain.errors import InvalidInput, NotFound, TooLarge, Unavailable

PACK = "import sys; from pathlib import Path; from livecalc.bundles.pack import pack; pack(*map(Path, sys.argv[1:]))"
KNOWN_HASH = "762eb8ff5b32db6046c1a8621fd617f2478064861d379c82d8419d2d635037b2"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "model", model_files())


def test_packs_what_verifies(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.zip"
    packed = pack(model, target)
    found = verify(target, Limits())
    assert packed.path == target
    assert packed.model_bundle_hash == hashlib.sha256(target.read_bytes()).hexdigest() == found.model_bundle_hash
    assert packed.size == target.stat().st_size
    assert (packed.files, packed.config) == (found.files, found.config)
    assert [file.path for file in packed.files] == ["assumptions/rates.csv", "livecalc.config.json", "model.py"]
    assert packed.notes == ()


def test_writes_the_archive_that_the_documentation_describes(model: Path, tmp_path: Path) -> None:
    pack(model, tmp_path / "small.zip")
    with zipfile.ZipFile(tmp_path / "small.zip") as found:
        infos = found.infolist()
        assert [info.filename for info in infos] == sorted(["manifest.json", *model_files()])
        for info in infos:
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.external_attr == 0o100644 << 16
            assert (info.create_system, info.extra, info.comment) == (3, b"", b"")
        digests = json.loads(found.read("manifest.json"))
    assert digests == {path: hashlib.sha256(data).hexdigest() for path, data in model_files().items()}


def test_gives_the_same_bytes_for_ever(model: Path, tmp_path: Path) -> None:
    packed = pack(model, tmp_path / "small.zip")
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in model_files().items()}
    manifest = json.dumps(digests, indent=2, sort_keys=True).encode() + b"\n"
    listed = sorted({**model_files(), "manifest.json": manifest}.items())
    assert packed.path.read_bytes() == archive(members(dict(listed)))
    assert packed.model_bundle_hash == KNOWN_HASH


def test_gives_the_same_bytes_whoever_packs_when_and_how(tmp_path: Path) -> None:
    files = {**model_files(), **{f"inputs/{name}.csv": name.encode() for name in "zaéB"}}
    hashes: set[str] = set()
    for number, umask in enumerate((0o022, 0o077, 0o000)):
        order = list(itertools.permutations(files))[number * 1000]
        folder = write_folder(tmp_path / str(number), {path: files[path] for path in order})
        for path in order:
            (folder / path).chmod(0o444 | number << 6)
            os.utime(folder / path, (number * 10**8, number * 10**8))
        target = tmp_path / f"{number}.zip"
        environment = {**os.environ, "TZ": f"UTC{number}", "PYTHONHASHSEED": str(number), "LC_ALL": "C"}
        command = [sys.executable, "-c", PACK, str(folder), str(target)]
        subprocess.run(command, check=True, umask=umask, env=environment, cwd=[tmp_path, folder, "/"][number])
        hashes.add(hashlib.sha256(target.read_bytes()).hexdigest())
        assert target.stat().st_mode & 0o777 == 0o666 & ~umask
    assert len(hashes) == 1


def test_opening_and_packing_again_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    first = pack(model, tmp_path / "first.zip")
    open_bundle(first.path, tmp_path / "opened", Limits())
    assert pack(tmp_path / "opened", tmp_path / "second.zip").model_bundle_hash == first.model_bundle_hash


@settings(deadline=None)
@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,3}(/[a-zé]{1,3}){0,2}", fullmatch=True), st.binary(max_size=50), max_size=6)
)
def test_any_files_come_back(tmp_path_factory: pytest.TempPathFactory, extra: dict[str, bytes]) -> None:
    root = tmp_path_factory.mktemp("any")
    files = {f"inputs/{path}.{number}": data for number, (path, data) in enumerate(extra.items())}
    packed = pack(write_folder(root / "model", model_files(extra=files)), root / "any.zip")
    open_bundle(packed.path, root / "opened", Limits())
    assert {path: (root / "opened" / path).read_bytes() for path in files} == files


def test_leaves_out_what_people_leave_lying(model: Path, tmp_path: Path) -> None:
    clean = pack(model, tmp_path / "clean.zip")
    write_folder(
        model,
        {
            ".git/HEAD": b"",
            ".venv/bin/python": b"",
            ".DS_Store": b"",
            ".#model.py": b"",
            ".model.py.swp": b"",
            "__pycache__/model.cpython-311.pyc": b"",
            "assumptions/__pycache__/x": b"",
            "model.pyc": b"",
            "model.py~": b"",
            "#model.py#": b"",
            "model.py.bak": b"",
            "model.py.orig": b"",
            "Thumbs.db": b"",
            "manifest.json": b"old",
        },
    )
    (model / ".link").symlink_to("/etc/passwd")
    (model / "empty").mkdir()
    assert pack(model, tmp_path / "littered.zip").model_bundle_hash == clean.model_bundle_hash


def test_can_change_the_number_of_scenarios(model: Path, tmp_path: Path) -> None:
    plain = pack(model, tmp_path / "plain.zip")
    same = pack(model, tmp_path / "same.zip", scenarios=16)
    more = pack(model, tmp_path / "more.zip", scenarios=24)
    assert same.model_bundle_hash == plain.model_bundle_hash
    assert verify(more.path, Limits()).config.scenarios.count == 24
    assert more.config.scenarios.seed == plain.config.scenarios.seed
    assert json.loads((model / "livecalc.config.json").read_bytes()) == CONFIG
    with pytest.raises(InvalidInput, match=r"\$\.scenarios\.count: 0 is not"):
        pack(model, tmp_path / "none.zip", scenarios=0)


@pytest.mark.parametrize("place", ["secret.csv", "inputs"])
def test_refuses_links(model: Path, tmp_path: Path, place: str) -> None:
    (model / place).symlink_to(tmp_path)
    with pytest.raises(InvalidInput, match=f"'{place}' is a link"):
        pack(model, tmp_path / "small.zip")


def test_packs_a_folder_behind_a_link(model: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(model)
    assert (
        pack(tmp_path / "link", tmp_path / "a.zip").model_bundle_hash
        == pack(model, tmp_path / "b.zip").model_bundle_hash
    )


def test_refuses_special_files(model: Path, tmp_path: Path) -> None:
    os.mkfifo(model / "pipe")
    with pytest.raises(InvalidInput, match="'pipe' is not a plain file"):
        pack(model, tmp_path / "small.zip")


def test_refuses_names_that_no_bundle_has(model: Path, tmp_path: Path) -> None:
    for name in (b"a\nb", b"a\\b", b"C:b", "e\u0301".encode(), b"\xff", b"b."):
        path = os.path.join(os.fsencode(model), name)  # noqa: PTH118  (pathlib takes no bytes)
        os.close(os.open(path, os.O_CREAT))
        with pytest.raises(InvalidInput, match="bundle refused: path"):
            pack(model, tmp_path / "small.zip")
        os.unlink(path)  # noqa: PTH108  (as above)
    write_folder(model, {"Model.py": b""})
    with pytest.raises(InvalidInput, match="one name twice"):
        pack(model, tmp_path / "small.zip")


def test_refuses_what_verifying_would_refuse(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", model_files({**CONFIG, "scenarios": {"count": 10, "block": 12}}))
    with pytest.raises(InvalidInput, match="12 is not a multiple of 8"):
        pack(folder, tmp_path / "small.zip")
    write_folder(folder, {**model_files(), "model.py": FILES["model.py"].replace(b"*, rates", b"*, rate")})
    with pytest.raises(InvalidInput, match="no keyword parameter 'rates'"):
        pack(folder, tmp_path / "small.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_never_imports_the_model(tmp_path: Path) -> None:
    trap = b"import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n" + FILES["model.py"]
    folder = write_folder(tmp_path / "model", model_files(extra={"model.py": trap, "conftest.py": trap}))
    pack(folder, tmp_path / "small.zip")
    assert not (folder / "ran").exists()


def test_keeps_to_the_limits(model: Path, tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="more files than the limit of 2"):
        pack(model, tmp_path / "small.zip", limits=Limits(files=2))
    with pytest.raises(TooLarge, match="over the limit of 100 bytes"):
        pack(model, tmp_path / "small.zip", limits=Limits(bytes=100))


def test_names_the_file_after_the_model(model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert pack(model, tmp_path / "out").path == tmp_path / "out" / "small-1.zip"
    for here in (tmp_path, model, model / "assumptions"):
        code = PACK.replace("pack(*map(Path, sys.argv[1:]))", "print(pack(Path(sys.argv[1])).path)")
        command = [sys.executable, "-c", code, str(model)]
        made = subprocess.run(command, check=True, cwd=here, stdout=subprocess.PIPE, text=True).stdout.strip()
        assert Path(made) == tmp_path / "small-1.zip"


def test_replaces_a_bundle_and_nothing_else(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.zip"
    pack(model, target)
    assert pack(model, target).path == target
    target.write_text("my notes")
    with pytest.raises(InvalidInput, match="exists and is no bundle"):
        pack(model, target)
    assert target.read_text() == "my notes"


def test_says_where_it_cannot_be_written(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="lies in the folder that is packed"):
        pack(model, model / "small.zip")
    with pytest.raises(Unavailable, match=r"small\.zip cannot be written: No such file or directory"):
        pack(model, tmp_path / "none" / "small.zip")


def test_says_when_there_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no folder"):
        pack(tmp_path / "none")
    with pytest.raises(InvalidInput, match=r"it has no livecalc\.config\.json"):
        pack(tmp_path)


def test_needs_no_numpy_to_be_imported() -> None:
    code = """
import sys
from livecalc.bundles import contents, examples, limits, notes, open, pack, scaffold, store, verify
sys.exit(str(sorted({"numpy", "pyarrow", "zipfile", "click", "rich", "httpx"} & sys.modules.keys())))
"""
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr.strip() == "[]"
