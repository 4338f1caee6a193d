"""Write the reference part of `docs/cli.md` from the command tree: `python tests/cli/reference.py`.

What stands above the mark is written by hand and kept.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from livecalc.cli.lazy import Command, Group
from livecalc.cli.root import root

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
MARK = "<!-- Below here: python tests/cli/reference.py -->\n"


def render() -> str:
    """The page as it should be: its head as it is, and a section for each command."""
    head, mark, _ = PAGE.read_text("utf-8").partition(MARK)
    assert mark, f"{PAGE} has no line {MARK!r}"
    return head + MARK + "".join(_section(path, command) for path, command in _walk(root, ()))


def _walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if path:
        yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _walk(inner, (*path, name))


def _section(path: tuple[str, ...], command: click.Command) -> str:
    assert isinstance(command, (Command, Group))
    words = " ".join(("livecalc", *path))
    context = click.Context(command, info_name=words)
    usage = " ".join((words, *command.collect_usage_pieces(context)))
    options = [_option(each) for each in command.params if isinstance(each, click.Option)]
    parts = [
        f"{'#' * (1 + len(path))} {words}",
        _text(command.help or ""),
        f"```console\n$ {usage}\n```",
        "\n".join(["| option | |", "|---|---|", *options]) if options else "",
        f"```console\n{command.example.strip()}\n```",
    ]
    return "\n" + "\n\n".join(part for part in parts if part) + "\n"


def _text(text: str) -> str:
    """A docstring's paragraphs, each on one line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.strip()))


def _option(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len, reverse=True))
    if isinstance(option.type, click.Choice):
        value = " " + " \\| ".join(f"`{choice}`" for choice in option.type.choices)
    else:
        value = "" if option.is_flag else f" `{option.metavar or option.type.name.upper()}`"
    default = f" Default `{option.default}`." if option.show_default else ""
    required = " Required." if option.required else ""
    return f"| {names}{value} | {option.help}{default}{required} |"


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
