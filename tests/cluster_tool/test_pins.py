"""What the contributors' cluster is built from is said in one place, and all of one version."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cluster.binaries import version
from cluster.place import GO, ROOT

MODULES = (GO / "go.mod").read_text()


def test_every_module_of_kubernetes_is_of_its_version() -> None:
    staging = re.findall(r"^\t(k8s\.io/\S+) => (\S+) (\S+)$", MODULES, re.MULTILINE)
    assert len(staging) == 31
    assert {(name, replaced) for name, replaced, _ in staging} == {(name, name) for name, _, _ in staging}
    assert {pinned for _, _, pinned in staging} == {version().replace("v1.", "v0.", 1)}


def test_a_hash_holds_each_module_that_is_built() -> None:
    hashed = (GO / "go.sum").read_text()
    replaced = dict(re.findall(r"^\t(k8s\.io/\S+) => \S+ (\S+)$", MODULES, re.MULTILINE))
    required = re.findall(r"^\t(\S+) (v\S+)(?: // indirect)?$", MODULES, re.MULTILINE)
    assert ("k8s.io/kubernetes", version()) in required
    missing = [name for name, pinned in required if f"{name} {replaced.get(name, pinned)}/go.mod h1:" not in hashed]
    assert missing == []


@pytest.mark.parametrize("arguments", [[], ["sideways"], ["pid", "nobody"], ["load"]])
def test_what_it_cannot_do_is_answered_with_what_it_can(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.cluster", *arguments], cwd=Path(ROOT), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("usage: python -m tools.cluster COMMAND\n")
