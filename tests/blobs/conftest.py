"""A store in a folder of the test's own."""

from pathlib import Path

import pytest

from livecalc.blobs.directory import DirectoryStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "home" / "blobs"


@pytest.fixture
def store(root: Path) -> DirectoryStore:
    return DirectoryStore(root)
