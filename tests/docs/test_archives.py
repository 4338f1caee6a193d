"""The lines that read and prove an archive without the platform: each is run, against Azurite; and finds a forgery."""

import os
import subprocess
import sys
from pathlib import Path

import anyio.to_thread
import pytest
from docs.pages import DOCS, fences
from lifecycle.stage import ANA, Stage, open_stage

from livecalc.blobs.port import read_all

pytestmark = pytest.mark.anyio
SHOWN = "q4-2025/20260126-010504"
VIOLATION = "offset:1234,expected:0xABCD,actual:0x1234;what is this"


def lines_of(page: str) -> list[str]:
    """The command lines of a page that are no commands of ours."""
    blocks = [fence.body for fence in fences(DOCS / page) if fence.language in {"sh", "bash"}]
    return [line for body in blocks for line in body.splitlines() if line and "livecalc" not in line]


class Reader:
    """Somebody with `az`, `jq` and a shell, in a folder of his own; he types what a page shows, for his own archive."""

    def __init__(self, folder: Path, connection_string: str, replaced: dict[str, str]) -> None:
        self._replaced = replaced
        tools = folder / "bin"
        tools.mkdir(parents=True)
        az = tools / "az"
        az.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("az.py")} "$@"\n', "utf-8")
        az.chmod(0o755)
        self._environment = {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "AZURE_BLOB_CONNECTION_STRING": connection_string,
            "AZURE_STORAGE_CONNECTION_STRING": connection_string,
        }
        self._folder = folder / "work"
        self._folder.mkdir()

    async def run(self, line: str) -> tuple[int, str]:
        """Type one line; its exit status and what it printed, errors too."""
        for shown, real in self._replaced.items():
            line = line.replace(shown, real)
        return await anyio.to_thread.run_sync(self._run, line)

    def _run(self, line: str) -> tuple[int, str]:
        if line.startswith("cd "):
            self._folder = self._folder / line.removeprefix("cd ")
            return 0, ""
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line], cwd=self._folder, env=self._environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout


async def archived(stage: Stage) -> str:
    record = await stage.finalized("q4-2025")
    await stage.pod(record.name, "worker-1", "echo one two three")
    await stage.local.annotate_pod(record.name, "worker-1", {"memory-sentinel-violations": VIOLATION})
    assert (await stage.reaper().sweep()).successful == 1
    return f"q4-2025/{(await stage.diagnostics.latest(ANA, 'q4-2025')).timestamp}"


def reader_of(stage: Stage, archive: str, azurite: str, folder: Path) -> Reader:
    containers = {f"{each}-acme": f"{stage.box}-{each}-acme" for each in ("diagnostics", "audit")}
    return Reader(folder, azurite, {SHOWN: archive, **containers})


async def test_every_line_of_the_page_on_archives_runs(azurite: str, tmp_path: Path) -> None:
    async with open_stage(tmp_path, "azure", azurite) as stage:
        archive = await archived(stage)
        reader = reader_of(stage, archive, azurite, tmp_path / "reader")
        printed: dict[str, str] = {}
        for line in lines_of("archives.md"):
            status, printed[line] = await reader.run(line)
            assert status == 0, f"$ {line}\n{printed[line]}"

    def of(part: str) -> str:
        [found] = [output for line, output in printed.items() if part in line]
        return found

    assert of("endswith") == f"{archive}/manifest.json\n"
    assert of("metadata.retain_until").endswith("Z\n")
    assert '"reason": "finalized"' in of("{state, reason")
    assert of(".state, .bytes, .note]").startswith("worker-1\tmain\tunknown\t14\t")
    assert of("select(.state != ").startswith("worker-1\tmain\tunknown\t")
    assert of("sha256sum --check") == ""
    assert of(".offset, .expected") == "worker-1\t1234\t0xABCD\t0x1234\n"
    assert of(".malformed[]?") == "worker-1\twhat is this\n"
    assert of("pods.json") == "worker-1\tSucceeded\n"
    assert f"_q4-2025_{archive.partition('/')[2]}\n" in of("_index/violations/")


async def test_every_line_of_the_page_for_auditors_runs_and_finds_a_forgery(azurite: str, tmp_path: Path) -> None:
    async with open_stage(tmp_path, "azure", azurite) as stage:
        archive = await archived(stage)
        reader = reader_of(stage, archive, azurite, tmp_path / "reader")
        head = (await stage.manifest("q4-2025")).audit_head
        printed: list[str] = []
        for line in lines_of("auditors.md"):
            status, output = await reader.run(line)
            assert status == 0, f"$ {line}\n{output}"
            printed += output.splitlines()
        [outcome] = [each for each in await stage.audited(operation="reap") if each.phase == "outcome"]
        assert printed == [str(outcome.sequence), head]

        name = f"{archive}/logs/worker-1.log"
        manifest = await read_all(stage.blobs, "diagnostics-acme", f"{archive}/manifest.json")
        old = (await stage.blobs.stat("diagnostics-acme", name)).sha256
        await stage.hands.change("diagnostics-acme", name, lambda raw: raw.replace(b"two", b"TWO"))
        forger = reader_of(stage, archive, azurite, tmp_path / "second")
        fetch, _, check, names, digests, *_ = lines_of("auditors.md")
        await forger.run(fetch)
        assert (await forger.run(check))[0] == 1
        new = (await forger.run(f"sha256sum < {name}"))[1].split()[0]
        assert new != old
        await stage.hands.change(
            "diagnostics-acme", f"{archive}/manifest.json", lambda _: manifest.replace(old.encode(), new.encode())
        )
        third = reader_of(stage, archive, azurite, tmp_path / "third")
        for line in lines_of("auditors.md")[:2]:
            await third.run(line)
        assert [(await third.run(line))[0] for line in (check, names)] == [0, 0]
        assert (await third.run(digests))[0] == 1

        records = [info.name async for info in stage.blobs.list_blobs("audit-acme")]
        await stage.hands.change("audit-acme", records[1], lambda raw: raw.replace(b"ana", b"eve"))
        fourth = reader_of(stage, archive, azurite, tmp_path / "fourth")
        walk, follow = lines_of("auditors.md")[5:7]
        await fourth.run(lines_of("auditors.md")[1])
        assert (await fourth.run(walk))[1] == f"audit/{records[1]} was changed\n"
        await fourth.run(f"rm audit/{records[1]}")
        assert "record 3 does not follow" in (await fourth.run(follow))[1]
