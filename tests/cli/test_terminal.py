"""What differs on a terminal: a bar instead of lines, colour unless NO_COLOR, and no binary result."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Tiny = Callable[..., str]


def on_a_terminal(environment: dict[str, str], folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command with a terminal on all its ends; returns its exit code and what the terminal shows."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "livecalc", *arguments],
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "100"},
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 1 << 16):
                shown += data
        except OSError:
            pass  # how Linux says that nobody has the terminal open any more
        finally:
            os.close(ours)
        return process.wait(60), shown.decode("utf-8")


def test_a_bar_and_colour(tiny: Tiny, environment: dict[str, str], tmp_path: Path) -> None:
    code, shown = on_a_terminal(environment, tmp_path, "run", tiny())
    assert code == 0, shown
    assert "━" in shown
    assert "80/80 scenarios" in shown
    assert "100 %" not in shown
    assert "\x1b[32m✔ Computed" in shown


def test_no_color_is_honoured(tiny: Tiny, environment: dict[str, str], tmp_path: Path) -> None:
    code, shown = on_a_terminal({**environment, "NO_COLOR": "1"}, tmp_path, "run", tiny())
    assert code == 0, shown
    assert "━" in shown
    assert "✔ Computed" in shown
    assert not any(f"\x1b[{colour}m" in shown for colour in (31, 32, 33, 91, 92))


def test_binary_is_not_for_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    code, shown = on_a_terminal(environment, tmp_path, "jobs", "result", "j-01jdx4m8k3q7", "--format", "arrow")
    assert code == 2
    assert "give a file with -o" in shown


def test_a_terminal_without_the_marks(tiny: Tiny, environment: dict[str, str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "livecalc", "run", tiny()],
        env={**environment, "PYTHONIOENCODING": "latin-1"},
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(b"? Computed tiny v1 in ")
