"""A command tree whose modules are imported when their command is used, and whose help ends with examples."""

import sys
from importlib import import_module
from typing import Any, NamedTuple

import click

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Entry(NamedTuple):
    """A top-level command: where it stands in the help, and the module whose `command` it is."""

    section: str
    name: str
    module: str
    short_help: str
    """Word for word the command's own; a test holds the two together."""


class Command(click.Command):
    """A command whose help ends with examples."""

    def __init__(self, *args: Any, example: str, **settings: Any) -> None:
        settings.setdefault("context_settings", SETTINGS)
        super().__init__(*args, **settings)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (click's)
        """Write the examples as they are typed."""
        _write_example(formatter, self.example)


class Group(click.Group):
    """A group whose help ends with examples, and whose commands do by default."""

    command_class = Command

    def __init__(self, *args: Any, example: str, **settings: Any) -> None:
        settings.setdefault("context_settings", SETTINGS)
        super().__init__(*args, **settings)
        self.example = example

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's)
        """Commands in the order they were written, which is the order of their use."""
        return list(self.commands)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (click's)
        """Write the examples as they are typed."""
        _write_example(formatter, self.example)


class LazyGroup(Group):
    """The root: knows its commands by a table, and imports one when it is resolved."""

    def __init__(self, *args: Any, entries: tuple[Entry, ...], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's)
        """Every name of the table."""
        return [entry.name for entry in self.entries]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  (click's)
        """Import the command that is asked for."""
        for entry in self.entries:
            if entry.name == cmd_name:
                import_module(entry.module)
                command: click.Command = sys.modules[entry.module].command
                return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for a name that is none, suggest from the table, as click does from a group's commands."""
        from difflib import get_close_matches

        similar = get_close_matches(args[0], self.list_commands(ctx))
        if similar and args[0] not in self.list_commands(ctx) and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {' or '.join(map(repr, similar))}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (click's)
        """List the table by sections."""
        width = max(len(entry.name) for entry in self.entries)
        for section in dict.fromkeys(entry.section for entry in self.entries):
            with formatter.section(section):
                rows = [(e.name.ljust(width), e.short_help) for e in self.entries if e.section == section]
                formatter.write_dl(rows)


def _write_example(formatter: click.HelpFormatter, example: str) -> None:
    title = "Examples" if "\n" in example.strip() else "Example"
    with formatter.section(title):
        for line in example.strip().splitlines():
            formatter.write(f"{' ' * formatter.current_indent}{line}\n")
