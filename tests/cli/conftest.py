"""The real `livecalc` as a process, with a home of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

_LIMIT = 120


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The LIVECALC_HOME of a test; made by the first command that needs it."""
    return tmp_path / "home"


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    """This process's environment without any setting of ours but the home."""
    ours = ("LIVECALC_", "AZURE_", "JWT_", "ASSUMPTIONS_", "LOG_", "NO_COLOR", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "LIVECALC_HOME": str(home)}


@pytest.fixture
def livecalc(environment: dict[str, str], tmp_path: Path) -> Callable[..., CompletedProcess[str]]:
    """Run one command line in the test's folder; settings are keyword arguments."""

    def run(*arguments: str, **settings: str) -> CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "livecalc", *arguments],
            env={**environment, **settings},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )

    return run


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., str]:
    """Write a model of one node whose body is given; returns its folder's name. 80 scenarios in 10 blocks."""

    def write(body: str = "return block.uniforms(1)[:, 0]", name: str = "tiny") -> str:
        folder = tmp_path / name
        folder.mkdir()
        source = "\n".join(["def node(block, /):", *(f"    {line}" for line in body.splitlines())])
        (folder / "node.py").write_text(source + "\n", "utf-8")
        node = {"id": "node", "engine": "python://node.py:node", "inputs": {}, "outputs": {"out": "bus://results/out"}}
        config = {
            "name": name,
            "version": "1",
            "scenarios": {"count": 80, "block": 8, "seed": 1},
            "pipeline": {"nodes": [node]},
            "results": ["bus://results/out"],
        }
        (folder / "livecalc.config.json").write_text(json.dumps(config), "utf-8")
        return name

    return write
