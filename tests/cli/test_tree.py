"""The command tree: the lazy table says what the commands say, every help has an example, and stays light."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from livecalc.cli.lazy import Command, Group
from livecalc.cli.root import ENTRIES, root

CONTEXT = click.Context(root, info_name="livecalc")
HEAVY = ("rich", "httpx", "numpy", "pyarrow", "msgspec", "starlette", "cryptography", "jwt", "uvicorn", "asyncio")


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command below one, itself first, with its words."""
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(CONTEXT):
            inner = command.get_command(CONTEXT, name)
            assert inner is not None
            yield from walk(inner, (*path, name))


COMMANDS = dict(walk(root))


def test_the_table_says_what_each_command_says() -> None:
    for entry in ENTRIES:
        command = COMMANDS[(entry.name,)]
        assert command.name == entry.name
        assert command.get_short_help_str(limit=200) == entry.short_help


def test_the_contract_has_all_its_commands() -> None:
    wanted = """demo, status, run, submit, serve, token, cleanup, worker, completion,
        bundle init, bundle pack, bundle inspect, bundle verify, bundle push,
        jobs list, jobs show, jobs watch, jobs logs, jobs result, jobs cancel,
        namespaces list, namespaces show, namespaces create, namespaces finalize, namespaces reap,
        mttc verify, diagnostics list, diagnostics show, diagnostics cat, diagnostics download, diagnostics verify,
            diagnostics violations, diagnostics reindex,
        retention plan, retention apply, retention hold, retention release, retention holds,
        audit list, audit verify"""
    leaves = {path for path, command in COMMANDS.items() if not isinstance(command, click.Group)}
    assert leaves == {tuple(words.split()) for words in wanted.split(",")}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_help_has_an_example_of_its_own_command(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert isinstance(command, (Command, Group))
    shown = command.get_help(click.Context(command, info_name=" ".join(("livecalc", *path))))
    assert "Example" in shown
    assert " ".join(("livecalc", *path)) in command.example
    assert shown.rstrip().endswith(command.example.strip().splitlines()[-1])


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_explained(path: tuple[str, ...]) -> None:
    for parameter in COMMANDS[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.endswith("."), parameter.name


def test_help_imports_nothing_heavy() -> None:
    check = (
        "import sys; from livecalc.cli import main; code = main(['--help']);"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules];"
        "print(loaded, file=sys.stderr); sys.exit(code)"
    )
    ended = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "[]\n")
    assert "livecalc.cli.commands" not in ended.stderr
