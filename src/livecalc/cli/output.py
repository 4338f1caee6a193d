"""Where words go: results to standard output, everything else to standard error."""

from collections.abc import Sequence
from typing import Any

import click

from livecalc.cli.format import plain


def emit(text: str) -> None:
    """Print a result."""
    click.echo(text)


def emit_list(
    found: Sequence[object], text: str, what: str, *, bucket: str | None = None, since: str | None = None
) -> None:
    """Print a list as text; of an empty one no header, but on standard error that there is no `what`, and where."""
    where = f" in bucket {plain(bucket)}" if bucket else ""
    when = f" since {plain(since)}" if since else ""
    if found:
        emit(text)
    else:
        note(f"No {what}{where}{when}.")


def emit_json(value: Any) -> None:
    """Print a wire value (or a list or dict of such) as indented JSON, with the HTTP field names."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def note(text: str) -> None:
    """Say something that is not the result."""
    click.echo(text, err=True)


def good(text: str) -> str:
    """A check that held, in one line."""
    return click.style(f"✔ {plain(text)}".rstrip(), fg="green")


def bad(text: str) -> str:
    """A check that did not hold, in one line."""
    return click.style(f"✘ {plain(text)}".rstrip(), fg="red")


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON with the HTTP field names, in full.")
