"""Progress over scenarios on standard error: a bar on a terminal, a line for every tenth elsewhere."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from livecalc.cli.output import note

Advance = Callable[[int, int], None]
"""Takes done and total."""
_TENTHS = 10


@contextmanager
def scenarios(label: str) -> Generator[Advance]:
    """Show how many scenarios are done until the block is left; call the yielded function with (done, total)."""
    if sys.stderr.isatty():
        with _bar(label) as advance:
            yield advance
    else:
        yield _lines(label)


def _lines(label: str) -> Advance:
    shown = -1

    def advance(done: int, total: int) -> None:
        nonlocal shown
        tenth = _TENTHS * done // total if total else _TENTHS
        if tenth > shown:
            shown = tenth
            note(f"{label}  {done}/{total} scenarios  {100 * done // max(total, 1)} %")

    return advance


@contextmanager
def _bar(label: str) -> Generator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20, complete_style="green", finished_style="green"),
        TextColumn("{task.completed:.0f}/{task.total:.0f} scenarios"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=1, visible=False)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True)

        yield advance
