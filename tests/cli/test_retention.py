"""`livecalc retention` through the real executable: plan, apply, and what is held."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from livecalc.blobs.directory import DirectoryStore
from livecalc.blobs.port import read_all

LiveCalc = Callable[..., CompletedProcess[str]]
OLD = "20200101-010203"


async def age(home: Path, timestamp: str, old: str = OLD) -> None:
    """Give a tenant a copy of an archive that is long past its date."""
    blobs = DirectoryStore(home / "blobs")
    infos = [info async for info in blobs.list_blobs("diagnostics-local", f"q4/{timestamp}/")]
    for info in infos:
        body = await read_all(blobs, "diagnostics-local", info.name)
        metadata = {**info.metadata, "retain_until": "2020-01-31T01:02:03Z"}
        if info.name.endswith("manifest.json"):
            body = re.sub(rb'"retain_until": "[^"]*"', b'"retain_until": "2020-01-31T01:02:03Z"', body)
        await blobs.write("diagnostics-local", info.name.replace(timestamp, old), body, metadata=metadata)


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
    said = json.loads(livecalc("retention", "plan", "--json").stdout)
    entries = said["entries"]
    assert [(each["name"], each["decision"]) for each in entries] == [(f"q4/{OLD}", "delete"), (f"q4/{aged}", "keep")]
    assert entries[0]["kept_until"] == "2020-01-31T01:02:03Z"
    assert said["counts"] == {"delete": 1, "keep": 1, "bytes": entries[0]["bytes"]}
    assert (said["begun"], said["problems"]) == ([], [])

    held = livecalc("retention", "hold", f"q4/{OLD}", "--reason", "audit 2026-17")
    assert f"release it with: livecalc retention release q4/{OLD}" in held.stdout
    assert re.search(rf"^q4 +{OLD} .* audit 2026-17$", livecalc("retention", "holds").stdout, re.MULTILINE)
    kept = livecalc("retention", "apply")
    assert (kept.returncode, kept.stdout) == (0, "Retention: nothing to do.\n")
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
    done = json.loads(livecalc("retention", "apply", "--json").stdout)
    assert done["outcomes"] == []
    assert done["counts"] == {"deleted": 0, "kept": 0, "waiting": 0, "elsewhere": 0, "failed": 0, "bytes": 0}
    [entry] = [
        each for each in json.loads(livecalc("retention", "plan", "--json").stdout)["entries"] if OLD in each["name"]
    ]
    assert entry["kept_until"] == "2020-01-31T01:02:03Z", "also of what cannot be read, by its path"
    assert aged


def deletions(livecalc: LiveCalc) -> Counter[tuple[str, str, str | None]]:
    """How often the chain tells what of each deletion."""
    records = json.loads(livecalc("audit", "list", "--limit", "1000", "--json").stdout)
    return Counter(
        (each["detail"]["archive"], each["phase"], each["result"])
        for each in records
        if each["operation"] == "retention-delete"
    )


def whole(names: set[str]) -> Counter[tuple[str, str, str | None]]:
    """What it should tell of some archives that are gone."""
    told: tuple[tuple[str, str | None], ...] = (("intent", None), ("outcome", "ok"))
    return Counter((f"q4/{name}", phase, result) for name in names for phase, result in told)


def test_one_that_is_killed_is_finished_and_told_once(
    livecalc: LiveCalc, aged: str, home: Path, environment: dict[str, str]
) -> None:
    old = {OLD, *(f"2019010{number}-000000" for number in range(1, 10))}
    for name in old - {OLD}:
        asyncio.run(age(home, aged, name))
    command = [sys.executable, "-m", "livecalc", "retention", "apply"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as victim:
        assert victim.stderr is not None
        for line in victim.stderr:
            if "Deleted archive" in line:
                break
        victim.kill()
    assert victim.returncode == -signal.SIGKILL

    again = livecalc("retention", "apply")
    assert again.returncode == 0, again.stderr
    folder = home / "blobs" / "results-local" / "retention" / "diagnostics-local" / "q4"
    left = [each.name for each in folder.iterdir()] if folder.exists() else []
    assert all(f"q4/{name} " in again.stdout for name in left), "the killed one's are left alone at first"
    assert again.stdout.count(" elsewhere ") == len(left)
    for name in left:
        asyncio.run(grow_old(home, f"retention/diagnostics-local/q4/{name}"))
    finished = livecalc("retention", "apply")
    assert finished.returncode == 0, finished.stderr
    assert [each.name for each in (home / "blobs" / "diagnostics-local" / "q4").iterdir()] == [aged]
    assert deletions(livecalc) == whole(old)
    assert livecalc("audit", "verify").returncode == 0


async def grow_old(home: Path, name: str) -> None:
    """Let a mark be of last year."""
    blobs = DirectoryStore(home / "blobs")
    body = await read_all(blobs, "results-local", name)
    await blobs.delete("results-local", name)
    await blobs.write("results-local", name, re.sub(rb'"started_at": "\d+', b'"started_at": "2020', body))


def test_two_at_once_delete_and_tell_each_once(
    livecalc: LiveCalc, aged: str, home: Path, environment: dict[str, str]
) -> None:
    old = {OLD, *(f"2019010{number}-000000" for number in range(1, 6))}
    for name in old - {OLD}:
        asyncio.run(age(home, aged, name))
    command = [sys.executable, "-m", "livecalc", "retention", "apply", "--json"]
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)
    ]
    said = [json.loads(each.communicate()[0]) for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert sum(each["counts"]["deleted"] for each in said) == len(old)
    assert deletions(livecalc) == whole(old)
    assert [each.name for each in (home / "blobs" / "diagnostics-local" / "q4").iterdir()] == [aged]


def test_a_deletion_that_was_cut_off_is_said(livecalc: LiveCalc, aged: str, home: Path) -> None:
    """One of an archive that is gone, and one of an archive that stays."""
    for timestamp in ("20200202-000000", aged):
        asyncio.run(mark(home, timestamp))
    planned = livecalc("retention", "plan", "--json")
    said = [
        {
            "kind": "archive",
            "tenant": "local",
            "name": f"q4/{timestamp}",
            "bucket_id": "q4",
            "begun_at": "2026-01-01T00:00:00Z",
            "kept": kept,
        }
        for timestamp, kept in (("20200202-000000", None), (aged, "kept for another 29 days"))
    ]
    assert sorted(json.loads(planned.stdout)["begun"], key=lambda each: each["name"]) == said
    begun = "begun at 2026-01-01T00:00:00Z, was cut off:"
    assert f"q4/20200202-000000 of tenant local, {begun} apply finishes it" in planned.stderr
    assert f"q4/{aged} of tenant local, {begun} it stays after all: kept for another 29 days" in planned.stderr
    done = livecalc("retention", "apply")
    assert done.returncode == 0, done.stderr
    assert json.loads(livecalc("retention", "plan", "--json").stdout)["begun"] == []


async def mark(home: Path, timestamp: str) -> None:
    folder = f"q4/{timestamp}/"
    key = f"diagnostics-local/{folder.rstrip('/')}"
    place = {"container": "diagnostics-local", "folder": folder}
    content = {
        "target": {"kind": "archive", "key": key, "name": folder.rstrip("/"), "bucket_id": "q4", "place": place},
        "tenant_id": "local",
        "request_id": f"retention-{timestamp}",
        "holder": "a run that was killed",
        "started_at": "2026-01-01T00:00:00Z",
    }
    await DirectoryStore(home / "blobs").write("results-local", f"retention/{key}", json.dumps(content).encode())


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
