"""A store in a folder of the test's own; and the tests of a real storage account, run or named as not run."""

import os
from pathlib import Path

import pytest

from livecalc.blobs.directory import DirectoryStore

_ACCOUNT = ("LIVECALC_TEST_AZURE_CONNECTION_STRING", "LIVECALC_TEST_AZURE_CONTAINER")
_MODULE = "test_azure_account.py"
_HAS_ACCOUNT = all(os.environ.get(name) for name in _ACCOUNT)
# They cost money, and nothing here can stand in for the effect of a lock.
collect_ignore = [] if _HAS_ACCOUNT else [_MODULE]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was not run for want of an account, so that nobody takes it for tested."""
    if not _HAS_ACCOUNT:
        terminalreporter.write_line(f"NOT RUN {_MODULE}: locks in a real account; set {' and '.join(_ACCOUNT)}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "home" / "blobs"


@pytest.fixture
def store(root: Path) -> DirectoryStore:
    return DirectoryStore(root)
