"""Folders for a while: made for one process alone, and removed even when it was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from livecalc.blobs.scratch import plain_scratch_folder, scratch_folder

pytestmark = pytest.mark.anyio
HOLDER = """
import asyncio, sys
from livecalc.blobs.scratch import scratch_folder

async def hold():
    async with scratch_folder() as folder:
        (folder / "copy").write_bytes(b"x")
        print(folder, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(hold())
"""


def hold(place: Path) -> "tuple[subprocess.Popen[str], Path]":
    """Start a process that has a folder, and say which."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(place)},
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


async def test_a_folder_goes_with_its_block() -> None:
    async with scratch_folder() as folder:
        (folder / "copy").write_bytes(b"x")
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_a_folder_without_a_loop() -> None:
    with plain_scratch_folder() as folder:
        (folder / "copy").write_bytes(b"x")
    assert not folder.exists()


async def test_a_folder_goes_when_its_block_fails() -> None:
    made: list[Path] = []

    async def fail() -> None:
        async with scratch_folder() as folder:
            made.append(folder)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await fail()
    assert [path.exists() for path in made] == [False]


def test_what_a_killed_process_left_goes_with_the_next(tmp_path: Path) -> None:
    (tmp_path / "livecalc-scratch-file").write_bytes(b"no folder")
    (tmp_path / "livecalc-scratch-link").symlink_to(tmp_path)
    first, living = hold(tmp_path)
    second, dead = hold(tmp_path)
    assert living.parent == dead.parent == tmp_path
    second.send_signal(signal.SIGKILL)
    second.communicate()
    assert dead.exists()

    third, another = hold(tmp_path)
    assert not dead.exists()
    assert (living / "copy").exists()
    for process in (first, third):
        process.communicate()
        assert process.returncode == 0
    assert not living.exists()
    assert not another.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["livecalc-scratch-file", "livecalc-scratch-link"]
