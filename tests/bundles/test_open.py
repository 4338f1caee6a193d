import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.bundles import Member, archive, bundle, members, model_files, with_manifest

from livecalc.bundles.limits import Limits
from livecalc.bundles.open import open_bundle
from livecalc.domain.errors import Damaged, InvalidInput, NotFound, Unavailable

GOOD = model_files()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.zip"
    path.write_bytes(bundle(GOOD, deflate=True))
    return path


def test_lays_out_the_files_and_gives_the_configuration(good: Path, tmp_path: Path) -> None:
    config = open_bundle(good, tmp_path / "open", Limits())
    found = {path.relative_to(tmp_path / "open").as_posix(): path for path in (tmp_path / "open").rglob("*")}
    assert config.name == "small"
    assert {path: file.read_bytes() for path, file in found.items() if file.is_file()} == with_manifest(GOOD)
    assert {stat.S_IMODE(file.stat().st_mode) for file in found.values() if file.is_file()} == {0o600}
    assert stat.S_IMODE(found["assumptions"].stat().st_mode) == 0o700


def test_modes_do_not_depend_on_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "setuid.zip"
    path.write_bytes(archive(members(with_manifest(GOOD), mode=0o104777)))
    open_bundle(path, tmp_path / "open", Limits())
    assert stat.S_IMODE((tmp_path / "open" / "model.py").stat().st_mode) == 0o600


def test_opens_into_an_empty_folder_only(good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    open_bundle(good, folder, Limits())
    with pytest.raises(InvalidInput, match="is not empty"):
        open_bundle(good, folder, Limits())


@pytest.mark.parametrize(
    "bad",
    [
        archive([*members(with_manifest(GOOD)), Member(name=b"../escaped", data=b"x")]),
        archive([*members(with_manifest(GOOD)), Member(name=b"escaped", data=b"/etc", mode=0o120777)]),
        archive([*members(with_manifest(GOOD)), Member(name=b"extra", data=b"x")]),
        archive(members(with_manifest(GOOD, {**GOOD, "model.py": b"other"}))),
        archive(members(with_manifest(GOOD))[:-1]),
        bundle({**GOOD, "livecalc.config.json": b"{}"}),
        bundle({**GOOD, "model.py": b"def other(): ..."}),
    ],
)
def test_writes_nothing_before_all_is_verified(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "bad.zip"
    path.write_bytes(bad)
    with pytest.raises(InvalidInput):
        open_bundle(path, tmp_path / "open", Limits())
    assert [entry.name for entry in tmp_path.iterdir()] == ["bad.zip"]


def test_opens_the_bundle_that_was_asked_for(good: Path, tmp_path: Path) -> None:
    with pytest.raises(Damaged, match=r"bundle 0000.* is damaged"):
        open_bundle(good, tmp_path / "open", Limits(), expected="0" * 64)
    assert not (tmp_path / "open").exists()


def test_says_what_is_missing(good: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no bundle at"):
        open_bundle(tmp_path / "none.zip", tmp_path / "open", Limits())
    with pytest.raises(Unavailable, match=r"cannot be opened in .*: Not a directory"):
        open_bundle(good, good / "open", Limits())


def test_says_when_the_disk_is_full(good: Path, tmp_path: Path) -> None:
    code = """
import resource, signal, sys
from pathlib import Path
from livecalc.bundles.limits import Limits
from livecalc.bundles.open import open_bundle
from livecalc.domain.errors import Unavailable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
try:
    open_bundle(Path(sys.argv[1]), Path(sys.argv[2]), Limits())
except Unavailable as error:
    print(error.detail)
"""
    command = [sys.executable, "-c", code, str(good), str(tmp_path / "open")]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert said == f"bundle {good} cannot be opened in {tmp_path / 'open'}: File too large\n"
