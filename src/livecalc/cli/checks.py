"""What a check finds damaged is its result, no failure of the command: it is said, and the exit code is 3."""

from collections.abc import Generator
from contextlib import contextmanager

import click

from livecalc.cli.output import bad, note
from livecalc.domain.errors import Damaged

CHECK_FAILED = 3
INTERRUPTED = 130


@contextmanager
def interruptible(sentence: str) -> Generator[None]:
    """End with exit 130 and a sentence on Ctrl-C, however deep it struck."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort, BaseExceptionGroup) as error:
        if isinstance(error, BaseExceptionGroup) and error.subgroup((KeyboardInterrupt, click.Abort)) is None:
            raise
        note(f"\n{sentence}")
        raise click.exceptions.Exit(INTERRUPTED) from None


@contextmanager
def a_check() -> Generator[None]:
    """End with exit 3 when something within turns out to be damaged."""
    try:
        yield
    except Damaged as error:
        note(bad(error.detail))
        raise click.exceptions.Exit(CHECK_FAILED) from None
