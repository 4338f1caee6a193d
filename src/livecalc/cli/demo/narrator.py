"""Tells a story in numbered, timed steps: as text while it happens, or at its end as one JSON object."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import click

from livecalc.cli.format import duration, width
from livecalc.cli.output import emit

_NAME_WIDTH = 10
_LINE_WIDTH = 80
_INDENT = " " * (_NAME_WIDTH + 5)


class Step:
    """What one step has to say, and the figures behind it."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.lines: list[str] = []
        self.figures: dict[str, Any] = {}

    def say(self, line: str) -> None:
        """Add a line of text, or several."""
        self.lines += line.splitlines()

    def know(self, **figures: Any) -> None:
        """Add figures for machines."""
        self.figures.update(figures)


class Narrator:
    """Numbers the steps, times each, and prints it when it is done; silent when it shall only collect."""

    def __init__(self, names: tuple[str, ...], *, silent: bool) -> None:
        self._names = names
        self._silent = silent
        self._start = time.monotonic()
        self.steps: list[dict[str, Any]] = []

    @property
    def seconds(self) -> float:
        """Since the story began."""
        return time.monotonic() - self._start

    @contextmanager
    def step(self, *, quiet: bool = False) -> Generator[Step]:
        """Tell the next step; `quiet` when the step shows its own progress. A step that fails is not told."""
        name = self._names[len(self.steps)]
        step = Step(self._label(name))
        start = time.monotonic()
        with _working(step.label, quiet=quiet or self._silent):
            yield step
        seconds = time.monotonic() - start
        if not self._silent:
            _print(step, seconds)
        self.steps.append({"step": name, "seconds": round(seconds, 3), **step.figures})

    def close(self, *lines: str) -> None:
        """End the story."""
        if not self._silent:
            emit(f"Done in {duration(self.seconds)}.")
            for line in lines:
                emit(line)

    def _label(self, name: str) -> str:
        return f"{len(self.steps) + 1}/{len(self._names)} {name:<{_NAME_WIDTH}} "


def _print(step: Step, seconds: float) -> None:
    first, *others = step.lines
    line = step.label + first
    gap = " " * max(0, _LINE_WIDTH - width(click.unstyle(line)))
    emit(f"{line}{gap}  {duration(seconds):>6}")
    for line in others:
        emit(_INDENT + line)


@contextmanager
def _working(label: str, *, quiet: bool) -> Generator[None]:
    """On a terminal, show that something is going on."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(label.strip()):
        yield
