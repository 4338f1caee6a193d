"""Every `livecalc` command line in the docs is one that the program takes. They are parsed, and not run."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from docs.pages import all_pages, fences, page_id, prose, spans

from livecalc.cli.root import root

ENDS = frozenset({"&", "&&", "|", "||", ";", ">", ">>", "<", "(", ")"})
"""Where a command ends, for a shell."""
SYNOPSIS = "[OPTIONS]"
pages = pytest.mark.parametrize("page", all_pages(), ids=page_id)


def commands_in(text: str) -> Iterator[list[str]]:
    """The words behind each `livecalc` that stands where a shell expects a command."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    for start, word in enumerate(words):
        before = words[start - 1] if start else ";"
        if word == "livecalc" and (before in ENDS or "=" in before):
            stop = next((at for at, other in enumerate(words) if at > start and other in ENDS), len(words))
            redirects = words[stop : stop + 1] == [">"] and words[stop - 1] == "2"
            yield words[start + 1 : stop - redirects]


def shell_lines(page: Path) -> Iterator[str]:
    """What a page shows of a shell: fenced, or indented with what a line does behind two spaces or more."""
    for fence in fences(page):
        if fence.language in {"sh", "bash"}:
            yield from fence.body.splitlines()
        if fence.language == "console":
            lines = fence.body.splitlines()
            shown = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
            yield from shown or lines
    indented = (line.strip() for line in prose(page).splitlines() if line.startswith("    livecalc "))
    yield from (re.split(" {2,}", line)[0] for line in indented)


def find(words: list[str]) -> tuple[click.Context, list[str]]:
    """Go down the tree as far as words name commands; the context of the last, and what is left."""
    context, left = click.Context(root, info_name="livecalc"), list(words)
    while isinstance(context.command, click.Group) and left and not left[0].startswith("-"):
        name = left.pop(0)
        command = context.command.get_command(context, name)
        assert command is not None, f"there is no command livecalc {' '.join(words)}"
        context = click.Context(command, info_name=name, parent=context)
    return context, left


def check_options(context: click.Context, left: list[str]) -> None:
    known = {option for parameter in context.command.get_params(context) for option in parameter.opts}
    known |= {option for parameter in context.command.get_params(context) for option in parameter.secondary_opts}
    for word in left:
        option = word.partition("=")[0]
        assert not option.startswith("-") or option in known, f"{context.command_path} has no {option}"


def check_whole(context: click.Context, left: list[str], folder: Path) -> None:
    """Parse what is left as the program does; files that it wants to see are there. Raises UsageError."""
    for word in left:
        if word.endswith(".zip"):
            (folder / word).touch()
    assert not isinstance(context.command, click.Group), f"{context.command_path} needs a command"
    context.command.make_context(context.info_name, list(left), parent=context.parent)


@pages
def test_each_line_of_shell_is_taken(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in shell_lines(page):
        if "livecalc" not in line or SYNOPSIS in line:
            continue
        for words in commands_in(line):
            context, left = find(words)
            check_options(context, left)
            check_whole(context, left, tmp_path)


@pages
def test_each_command_named_in_a_sentence_exists(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence may name a command alone, or with an option; with an argument it is a whole command line."""
    monkeypatch.chdir(tmp_path)
    for span in spans(page):
        for words in commands_in(span):
            context, left = find(words)
            check_options(context, left)
            if any(not word.startswith("-") for word in left):
                check_whole(context, left, tmp_path)


def test_the_parser_here_sees_what_it_should() -> None:
    assert list(commands_in("A=$(livecalc token --ttl 5) livecalc status | cat")) == [
        ["token", "--ttl", "5"],
        ["status"],
    ]
    assert list(commands_in("livecalc serve --port 1 2> log &")) == [["serve", "--port", "1"]]
    assert list(commands_in("pip install livecalc && livecalc demo # livecalc x")) == [["demo"]]
    with pytest.raises(AssertionError):
        find(["jobs", "burn"])
    with pytest.raises(AssertionError):
        check_options(*find(["jobs", "list", "--fast"]))
    with pytest.raises(click.UsageError):
        check_whole(*find(["submit", "model"]), Path())
