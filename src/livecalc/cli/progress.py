"""Progress on standard error: a bar on a terminal, a line for every tenth elsewhere."""

import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

from livecalc.cli.format import size
from livecalc.cli.output import note

Advance = Callable[[int, int], None]
"""Takes done and total."""
_TENTHS = 10


def scenarios(label: str) -> AbstractContextManager[Advance]:
    """Show how many scenarios are done until the block is left; call the yielded function with (done, total)."""
    return _progress(label, lambda done, total: f"{done}/{total} scenarios")


def transfer(label: str) -> AbstractContextManager[Advance]:
    """Show how many bytes are there until the block is left; call the yielded function with (done, total)."""
    return _progress(label, lambda done, total: f"{size(done)} of {size(total)}")


@contextmanager
def _progress(label: str, amount: Callable[[int, int], str]) -> Generator[Advance]:
    if sys.stderr.isatty():
        with _bar(label, amount) as advance:
            yield advance
    else:
        yield _lines(label, amount)


def _lines(label: str, amount: Callable[[int, int], str]) -> Advance:
    shown = -1

    def advance(done: int, total: int) -> None:
        nonlocal shown
        tenth = _TENTHS * done // total if total else _TENTHS
        if tenth > shown:
            shown = tenth
            note(f"{label}  {amount(done, total)}  {100 * done // total if total else 100} %")

    return advance


@contextmanager
def _bar(label: str, amount: Callable[[int, int], str]) -> Generator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20, complete_style="green", finished_style="green"),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=1, visible=False, amount="")

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True, amount=amount(done, total))

        yield advance
