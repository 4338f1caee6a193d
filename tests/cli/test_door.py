"""How commands end: exit codes, where words go, and what happens when nobody reads them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from livecalc import __version__
from livecalc.cli.door import exit_code
from livecalc.domain import errors

LiveCalc = Callable[..., CompletedProcess[str]]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput, 2),
        (errors.TooLarge, 2),
        (errors.Unauthenticated, 4),
        (errors.Forbidden, 4),
        (errors.NotFound, 1),
        (errors.Conflict, 1),
        (errors.Reaping, 1),
        (errors.Damaged, 1),
        (errors.ModelFailed, 1),
        (errors.Unavailable, 1),
    ],
)
def test_each_error_has_its_exit_code(error: type[errors.LivecalcError], code: int) -> None:
    assert exit_code(error("sentence")) == code


def test_help_and_version_go_to_standard_output(livecalc: LiveCalc) -> None:
    shown = livecalc("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "livecalc demo" in shown.stdout
    version = livecalc("--version")
    assert (version.returncode, version.stdout, version.stderr) == (0, f"livecalc {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["status", "--nonsense"],
        ["submit", "model"],
        ["mttc", "verify"],
        ["mttc", "verify", "j-01jdx4m8k3q7", "--bucket", "b", "--bundle", "7c1e0b94d2aa"],
        ["mttc", "verify", "--bucket", "b"],
        ["submit", "model", "--bucket", "b", "--label", "nonsense"],
        ["submit", "model", "--bucket", "b", "--deadline", "soon"],
        ["jobs", "list", "--state", "asleep"],
        ["jobs", "list", "--limit", "0"],
        ["completion", "tcsh"],
    ],
)
def test_wrong_usage_is_2_says_why_and_touches_nothing(livecalc: LiveCalc, home: Path, arguments: list[str]) -> None:
    ended = livecalc(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "Error: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not home.exists()


def test_a_mistyped_command_is_suggested(livecalc: LiveCalc) -> None:
    assert "Did you mean 'submit'?" in livecalc("sumbit", "model").stderr
    assert "Did you mean" in livecalc("jobs", "lisst").stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["submit", "model", "--bucket", "b", "--deadline", "0s"], "--deadline 0s is not valid"),
        (["submit", "model", "--bucket", "b", "--deadline", "soon"], "--deadline 'soon' is not a duration"),
        (["jobs", "list", "--since", "yesterday"], "2h or 7d"),
        (["diagnostics", "cat", "q4"], "q4/sentinel-violations.json"),
        (["diagnostics", "cat", "q4/20260126-010504"], "names no blob"),
    ],
)
def test_wrong_usage_says_what_would_be_right(livecalc: LiveCalc, arguments: list[str], told: str) -> None:
    ended = livecalc(*arguments)
    assert ended.returncode == 2
    assert told in ended.stderr


def test_cleanup_is_of_this_machine_only(livecalc: LiveCalc, home: Path) -> None:
    for arguments in (["cleanup"], ["cleanup", "--dry-run"]):
        ended = livecalc(*arguments, LIVECALC_URL="http://127.0.0.1:9", LIVECALC_TOKEN="a.b.c")  # noqa: S106  (none)
        assert ended.returncode == 2
        assert "unset LIVECALC_URL" in ended.stderr
    assert not home.exists()


def test_a_model_that_is_no_file_and_no_folder_says_so(livecalc: LiveCalc) -> None:
    ended = livecalc("run", "nosuch.zip")
    assert ended.returncode == 1
    assert "'nosuch.zip', no such file" in ended.stderr


@pytest.mark.parametrize(
    ("setting", "value"),
    [("INACTIVITY_THRESHOLD_HOURS", "soon"), ("LIVECALC_CLUSTER", "nomad"), ("REAP_CONCURRENCY", "0")],
)
def test_a_wrong_setting_is_one_line_and_2(livecalc: LiveCalc, setting: str, value: str) -> None:
    for arguments in (["status"], ["cleanup", "--dry-run"]):
        ended = livecalc(*arguments, **{setting: value})
        assert ended.returncode == 2
        assert ended.stdout == ""
        assert ended.stderr.startswith("Error: ")
        assert setting in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_a_reader_that_leaves_is_no_error(environment: dict[str, str]) -> None:
    for arguments in (["--help"], ["completion", "bash"]):
        with subprocess.Popen(
            [sys.executable, "-c", _SLOW_START, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            process.stdout.close()
            _, complaints = process.communicate("go\n", timeout=60)
        assert complaints == ""
        assert process.returncode == 1


_SLOW_START = "import sys; sys.stdin.readline(); from livecalc.cli import main; sys.exit(main())"
"""Begins once its reader has closed the pipe."""


def test_completion_scripts_are_for_livecalc(livecalc: LiveCalc) -> None:
    for shell in ("bash", "zsh", "fish"):
        script = livecalc("completion", shell)
        assert script.returncode == 0
        assert "_LIVECALC_COMPLETE" in script.stdout


def test_a_shell_completes_commands_and_options(livecalc: LiveCalc) -> None:
    commands = livecalc(_LIVECALC_COMPLETE="bash_complete", COMP_WORDS="livecalc ", COMP_CWORD="1").stdout
    assert {"plain,demo", "plain,jobs", "plain,mttc"} <= set(commands.split())
    options = livecalc(_LIVECALC_COMPLETE="bash_complete", COMP_WORDS="livecalc jobs list --", COMP_CWORD="3").stdout
    assert {"plain,--bucket", "plain,--json"} <= set(options.split())
