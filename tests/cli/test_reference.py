"""`docs/cli.md` is what `--help` says: each command with its synopsis, options and example, and nothing else."""

import importlib.util
from pathlib import Path
from types import ModuleType

import click
import pytest

from livecalc.cli.root import ENTRIES


def _reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cli_reference", Path(__file__).with_name("reference.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_commands_say() -> None:
    reference = _reference()
    assert reference.PAGE.read_text("utf-8") == reference.render(), "renew it: python tests/cli/reference.py"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_page_has_each_command_and_option(entry: click.Command) -> None:
    page = _reference().PAGE.read_text("utf-8")
    assert f"## livecalc {entry.name}\n" in page


def test_the_head_names_every_exit_code() -> None:
    from livecalc.cli import door

    page = _reference().PAGE.read_text("utf-8")
    codes = {0, door.FAILED, door.USAGE, door.CHECK_FAILED, door.NOT_AUTHENTICATED, door.INTERRUPTED}
    assert all(f"| {code} | " in page for code in codes)
