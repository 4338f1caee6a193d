"""Kubernetes' programs, built from the Go modules that `go/go.mod` pins and `go/go.sum` holds the hashes of."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from .needs import check_go
from .place import BIN, CACHE, GO
from .progress import say

_STAMP = "built-from"
_SHOWN_CHARACTERS = 3000


def build() -> None:
    """Build what `go.mod` names as tools into BIN, unless that has been done. Raises SystemExit when Go fails."""
    stamp = _fingerprint()
    if _is_built(stamp):
        return
    check_go()
    say("building Kubernetes from its Go modules: minutes the first time (2 cores: 4), seconds when Go has it cached")
    fresh = CACHE / "bin.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    settings = {**os.environ, "CGO_ENABLED": "0"}
    done = subprocess.run(_command(fresh), cwd=GO, env=settings, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"Kubernetes did not build:\n{done.stderr[-_SHOWN_CHARACTERS:]}")
    (fresh / _STAMP).write_text(stamp)
    shutil.rmtree(BIN, ignore_errors=True)
    fresh.rename(BIN)
    say("built")


def version() -> str:
    """The version of Kubernetes that `go.mod` pins: `v1.35.4`."""
    pinned = re.search(r"^\s*(?:require )?k8s\.io/kubernetes (v\S+)", (GO / "go.mod").read_text(), re.MULTILINE)
    assert pinned
    return pinned[1]


def _command(into: Path) -> list[str]:
    major, minor, _ = version().removeprefix("v").split(".", 2)
    about = {"gitVersion": version(), "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in about.items())
    return ["go", "build", "-mod=readonly", "-trimpath", "-ldflags", f"-s -w {flags}", "-o", f"{into}/", "tool"]


def _fingerprint() -> str:
    pins = b"".join((GO / name).read_bytes() for name in ("go.mod", "go.sum"))
    return hashlib.sha256(pins + " ".join(_command(Path())).encode()).hexdigest()


def _is_built(stamp: str) -> bool:
    try:
        return (BIN / _STAMP).read_text() == stamp
    except FileNotFoundError:
        return False
