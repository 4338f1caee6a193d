"""A full disk and a read-only one: one sentence each, and everything can be done once there is room."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from attack.environment_disks import COMMANDS
from attack.environment_shell import Said

pytestmark = pytest.mark.attack
LOOKING = ("status", "jobs list", "jobs show", "jobs result", "diagnostics", "audit")
"""Commands that need nothing but to read blobs."""
_TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Said]]:
    folder = tmp_path_factory.mktemp("narrow") / "disk"
    folder.mkdir()
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    command = [*unshare, sys.executable, "-m", "attack.environment_disks", str(folder)]
    paths = [str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=env)
    if done.returncode != 0:
        needed = "this test needs `unshare --mount` (util-linux) and the right to mount a tmpfs: run it as root"
        pytest.fail(f"{needed}\n{done.stderr}")
    return msgspec.json.decode(done.stdout, type=dict[str, list[Said]])


@pytest.mark.parametrize("state", ["full", "read_only"])
def test_each_command_works_or_says_why_not(report: dict[str, list[Said]], state: str) -> None:
    for said in report[state][: len(COMMANDS)]:
        if said.line.startswith(LOOKING):
            assert (said.code, said.errors) == (0, []), said
        else:
            assert said.code == 1, said
            assert len(said.errors) == 1, said
            assert ("is full; make room" if state == "full" else "cannot be written") in said.errors[0], said
        assert "Traceback" not in said.err


def test_with_room_everything_is_done(report: dict[str, list[Said]]) -> None:
    for said in report["with_room"]:
        assert (said.code, said.errors) == (0, []), said


def test_a_bundle_that_does_not_fit(report: dict[str, list[Said]]) -> None:
    refused, pushed, strays = report["pushing"]
    assert (refused.code, len(refused.errors)) == (1, 1), refused
    assert "the disk is full, so nothing was stored; make room and try again" in refused.errors[0]
    assert pushed.code == 0, pushed
    assert strays.code == 0


def test_a_result_that_does_not_fit(report: dict[str, list[Said]]) -> None:
    shown, listed, again = report["running"]
    assert "failed" in shown.out
    assert "No space left on device" in shown.out
    assert listed.code == 0
    assert again.code == 0, again


def test_an_archive_that_does_not_fit(report: dict[str, list[Said]]) -> None:
    finalized, refused, kept, done, verified, audited, after = report["archiving"]
    assert finalized.code == 0, finalized
    assert refused.code == 1
    assert "livecalc-bucket-full is kept, because it could not be archived" in refused.err
    assert "the disk is full" in refused.err
    assert "livecalc-bucket-full" in kept.out
    assert (done.code, verified.code, audited.code) == (0, 0, 0), (done, verified, audited)
    assert "livecalc-bucket-full" not in after.out


def test_a_home_that_cannot_be_made(report: dict[str, list[Said]]) -> None:
    for said in report["read_only"][len(COMMANDS) :]:
        assert (said.code, len(said.errors)) == (1, 1), said
        assert "cannot be used: Read-only file system; set LIVECALC_HOME to another folder" in said.errors[0]
