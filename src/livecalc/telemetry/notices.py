"""Sentences that belong beside an answer: what was left out of it, and why. Errors are raised, not noticed."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_LOG = logging.getLogger("livecalc.notices")
_COLLECTED: ContextVar[list[str] | None] = ContextVar("_COLLECTED", default=None)


def notice(sentence: str) -> None:
    """Tell whoever asked; where nobody collects notices, the log."""
    collected = _COLLECTED.get()
    if collected is None:
        _LOG.warning("%s", sentence)
    elif sentence not in collected:
        collected.append(sentence)


@contextmanager
def collected_notices() -> Generator[list[str]]:
    """Collect what is noticed while the block lasts, by its tasks and threads too."""
    collected: list[str] = []
    token = _COLLECTED.set(collected)
    try:
        yield collected
    finally:
        _COLLECTED.reset(token)
