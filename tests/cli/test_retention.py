"""`livecalc retention` through the real executable: plan, apply, and what is held."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from livecalc.blobs.directory import DirectoryStore
from livecalc.blobs.port import read_all

LiveCalc = Callable[..., CompletedProcess[str]]
OLD = "20200101-010203"


async def age(home: Path, timestamp: str) -> None:
    """Give a tenant a copy of an archive that is long past its date."""
    blobs = DirectoryStore(home / "blobs")
    infos = [info async for info in blobs.list_blobs("diagnostics-local", f"q4/{timestamp}/")]
    for info in infos:
        body = await read_all(blobs, "diagnostics-local", info.name)
        metadata = {**info.metadata, "retain_until": "2020-01-31T01:02:03Z"}
        if info.name.endswith("manifest.json"):
            body = re.sub(rb'"retain_until": "[^"]*"', b'"retain_until": "2020-01-31T01:02:03Z"', body)
        await blobs.write("diagnostics-local", info.name.replace(timestamp, OLD), body, metadata=metadata)


@pytest.fixture
def aged(livecalc: LiveCalc, home: Path) -> str:
    """The timestamp of a fresh archive of bucket q4, beside which there is one of 2020."""
    for words in ("namespaces create q4", "namespaces reap q4"):
        assert livecalc(*words.split()).returncode == 0
    (timestamp,) = [each.name for each in (home / "blobs" / "diagnostics-local" / "q4").iterdir()]
    asyncio.run(age(home, timestamp))
    return timestamp


def test_plan_hold_release_and_apply(livecalc: LiveCalc, aged: str, home: Path) -> None:
    planned = livecalc("retention", "plan")
    assert (planned.returncode, planned.stderr) == (0, f"Target: local, {home}\n")
    header, first, second, total = planned.stdout.splitlines()
    assert header.split("  ")[0] == "WHAT"
    assert re.fullmatch(rf"archive +local +q4/{OLD} +- +2020-01-31 +\S+ \S+ +delete +kept until 2020-01-31", first)
    assert f"q4/{aged}" in second
    assert second.endswith("kept for another 29 days")
    assert total.startswith("To delete: 1 archive, ")
    entries = json.loads(livecalc("retention", "plan", "--json").stdout)["entries"]
    assert [(each["name"], each["decision"]) for each in entries] == [(f"q4/{OLD}", "delete"), (f"q4/{aged}", "keep")]

    held = livecalc("retention", "hold", f"q4/{OLD}", "--reason", "audit 2026-17")
    assert f"release it with: livecalc retention release q4/{OLD}" in held.stdout
    assert re.search(rf"^q4 +{OLD} .* audit 2026-17$", livecalc("retention", "holds").stdout, re.MULTILINE)
    kept = livecalc("retention", "apply")
    assert (kept.returncode, kept.stdout) == (0, "Retention: nothing to do; 0 B freed.\n")
    assert (home / "blobs" / "diagnostics-local" / "q4" / OLD).is_dir()
    assert livecalc("retention", "release", f"q4/{OLD}").returncode == 0

    done = livecalc("retention", "apply")
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^archive +local +q4/{OLD} .* deleted +kept until 2020-01-31$", done.stdout, re.MULTILINE)
    assert re.search(r"^Retention: 1 deleted; \S+ \S+ freed\.$", done.stdout, re.MULTILINE)
    assert f"Deleted archive q4/{OLD} of tenant local" in done.stderr
    assert not (home / "blobs" / "diagnostics-local" / "q4" / OLD).exists()
    assert [each["timestamp"] for each in json.loads(livecalc("diagnostics", "list", "--json").stdout)] == [aged]
    assert livecalc("audit", "verify").returncode == 0


def test_what_cannot_be_decided_on_is_said(livecalc: LiveCalc, aged: str, home: Path) -> None:
    manifest = home / "blobs" / "diagnostics-local" / "q4" / OLD / "manifest.json"
    manifest.chmod(0o600)
    manifest.write_bytes(b"?" * manifest.stat().st_size)
    said = f"Note: tenant local: archive q4/{OLD} stays: the manifest of archive q4/{OLD} cannot be read"
    for command in ("plan", "apply"):
        ended = livecalc("retention", command, "--tenant", "local")
        assert (ended.returncode, said in ended.stderr) == (1, True), ended.stderr
    assert json.loads(livecalc("retention", "apply", "--json").stdout)["outcomes"] == []
    assert aged


def test_wrong_usage_is_one_line(livecalc: LiveCalc) -> None:
    for command in ("plan", "apply"):
        refused = livecalc("retention", command, LIVECALC_URL="http://127.0.0.1:1")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "unset LIVECALC_URL" in refused.stderr
    for words in (["hold", "q4/", "--reason", "x"], ["release", "q4/"], ["hold", "Q4", "--reason", "x"]):
        refused = livecalc("retention", *words)
        assert refused.returncode == 2, refused.stderr
    assert livecalc("retention", "hold", "q4", "--reason", "x").returncode == 1


def test_a_tenant_that_has_nothing_is_no_empty_plan(livecalc: LiveCalc, aged: str) -> None:
    assert aged
    done = livecalc("retention", "plan", "--tenant", "locl")
    assert done.returncode == 1
    assert "Error: no tenant 'locl' has anything in the store" in done.stderr


def test_a_reason_cannot_drive_the_terminal(livecalc: LiveCalc, aged: str) -> None:
    what = f"q4/{aged}"
    assert livecalc("retention", "hold", what, "--reason", "a \x1b[31mred").returncode == 0
    assert "\x1b" not in livecalc("retention", "release", what).stdout
