"""The demo as it is: it holds, it can be told to machines, and it leaves nothing running, however it ends."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from livecalc.cli.demo.story import what_now

LiveCalc = Callable[..., CompletedProcess[str]]
STEPS = ["pack", "submit", "run", "finalize", "reap", "recompute", "compare"]


def pods_under(home: Path) -> list[str]:
    """The processes of this machine that are pods of a home."""
    found: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            settings = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"LIVECALC_HOME={home}".encode() in settings and any(
            each.startswith(b"LIVECALC_POD_UID=") for each in settings
        ):
            found.append(folder.name)
    return found


def test_the_story_is_told_to_the_end_and_again(livecalc: LiveCalc, home: Path) -> None:
    told = livecalc("demo")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert [line.split()[1] for line in lines if line[:1].isdigit()] == STEPS
    assert "term-life: 10,000 policies x 1,000 scenarios" in told.stdout
    assert "└── manifest.json" in told.stdout
    assert "✔ MATCH" in told.stdout
    assert "Left running: 0 namespaces, 0 volumes, 0 pods, 0 processes." in lines
    assert not any(mark in told.stdout for mark in ("✘", "\x1b", "\t"))

    again = livecalc("demo", "--json")
    assert again.returncode == 0, again.stderr
    figures = json.loads(again.stdout)
    assert figures["holds"] is True
    assert [step["step"] for step in figures["steps"]] == STEPS
    assert figures["steps"][2]["job"]["result_hash"] == figures["steps"][5]["verified"]["resumed_result_hash"]
    assert abs(figures["steps"][2]["closed_form"]["standard_errors"]) < 4
    assert figures["steps"][3]["plan"]["decision"] == "reap"
    assert figures["seconds"] < 60
    assert json.loads(livecalc("namespaces", "list", "--all", "--json").stdout) == []
    assert pods_under(home) == []


def test_nobody_is_sent_to_look_at_what_is_gone() -> None:
    kept, see, then = what_now("demo-1", 10, stays=True)
    assert kept == "Kept: bundle, result, archive, 10 audit records."
    assert see.endswith("diagnostics show demo-1")
    assert what_now("demo-1", 10, stays=False) == ["Stored: bundle, result, archive, 10 audit records.", then]


@pytest.mark.parametrize("moment", ["3/7", "5/7"])
def test_ctrl_c_leaves_nothing_running(
    moment: str, livecalc: LiveCalc, environment: dict[str, str], home: Path, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "livecalc", "demo"],
        env={**environment, "PYTHONUNBUFFERED": "1"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        before: list[str] = []
        for line in process.stdout:
            before.append(line)
            if line.startswith(moment):
                break
        assert before[-1].startswith(moment), before
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        assert process.wait(60) == 130, said
    assert "Traceback" not in said
    assert json.loads(livecalc("namespaces", "list", "--all", "--json").stdout) == []
    assert pods_under(home) == []
