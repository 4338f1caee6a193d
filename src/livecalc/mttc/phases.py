"""Time the phases of a recomputation."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from livecalc.wire.mttc import Phase


class Stopwatch:
    """Phases in the order they ran, each in seconds of monotonic time."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []

    @contextmanager
    def phase(self, name: str) -> Generator[None, None, None]:
        """Time one phase, also when it fails."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.phases.append(Phase(name=name, seconds=round(time.monotonic() - start, 3)))

    @property
    def total(self) -> float:
        """Seconds of all phases so far."""
        return sum(phase.seconds for phase in self.phases)
