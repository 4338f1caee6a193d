"""Full and read-only disks: one sentence, and nothing half visible."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("narrow") / "disk"
    folder.mkdir()
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    command = [*unshare, sys.executable, str(Path(__file__).with_name("narrow_disk.py")), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        needed = "this test needs `unshare --mount` (util-linux) and the right to mount a tmpfs: run it as root"
        pytest.fail(f"{needed}\n{done.stderr}")
    return json.loads(done.stdout)


def test_what_fits_is_stored(report: dict[str, Any]) -> None:
    assert report["first"] == report["key"] == "ok"
    assert report["small_ok"] > 20


@pytest.mark.parametrize("writing", ["streamed", "at_once", "granted"])
def test_a_full_disk_is_one_sentence(report: dict[str, Any], writing: str) -> None:
    assert report[writing].startswith("Unavailable: blob store ")
    assert report[writing].endswith("the disk is full, so nothing was stored; make room and try again")


def test_a_disk_that_fills_slowly(report: dict[str, Any]) -> None:
    assert report["small"]
    assert all("the disk is full" in told for told in report["small"])


def test_what_is_visible_is_whole_and_nothing_lies_about(report: dict[str, Any]) -> None:
    assert len(report["kept"]) == report["small_ok"] + 1
    assert not [name for name in report["kept"] if name != "first" and not name.startswith("small/")]
    assert report["left"] == []


@pytest.mark.parametrize("doing", ["read_only", "deleted"])
def test_a_read_only_disk_is_one_sentence(report: dict[str, Any], doing: str) -> None:
    assert report[doing].startswith("Unavailable: blob store ")
    assert "Read-only file system" in report[doing]


def test_a_read_only_disk_can_be_read(report: dict[str, Any]) -> None:
    assert report["still"] == report["kept"]
