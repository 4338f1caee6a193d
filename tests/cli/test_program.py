"""What suggested commands begin with: something that works where it is printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PRINTS = "from livecalc.cli.program import program\nprint(program())\n"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A program called `livecalc` that prints what it thinks it is called."""
    path = tmp_path / "bin" / "livecalc"
    path.parent.mkdir()
    path.write_text(f"#!{sys.executable}\n{PRINTS}", "utf-8")
    path.chmod(0o700)
    return path


def printed(command: list[str | Path], cwd: Path, path: Path) -> str:
    environment = {**os.environ, "PATH": str(path)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_its_name_where_the_shell_finds_it(script: Path, tmp_path: Path) -> None:
    assert printed([script], tmp_path, script.parent) == "livecalc"


def test_its_path_where_the_shell_does_not(script: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert printed([script], tmp_path, nowhere) == "bin/livecalc"
    assert printed(["bin/livecalc"], tmp_path, nowhere) == "bin/livecalc"
    assert printed([script], script.parent, nowhere) == "./livecalc"
    assert printed([script], Path("/"), nowhere) == str(script).lstrip("/")
    assert printed([sys.executable, "-c", PRINTS], tmp_path, nowhere) == f"{sys.executable} -m livecalc"
