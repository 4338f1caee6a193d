"""What a worker is told by the pod it runs in, and what it says at its end."""

from pathlib import Path

from msgspec import Struct

from livecalc.domain.jobs import EXIT_OK, FINAL_EXITS
from livecalc.worker.storage import StoredBlob

EXIT_AGAIN = 1
"""Of any end that another try may mend."""
EXIT_SIGTERM = 143


class Pod(Struct, frozen=True, kw_only=True):
    """A worker's own place."""

    index: int
    attempt: int
    folder: Path
    """An empty folder of its own."""
    termination_file: Path
    image: str


class End(Struct, frozen=True, kw_only=True):
    """How the work ended."""

    exit: int
    error: str | None = None
    result: StoredBlob = StoredBlob()

    @property
    def state(self) -> str:
        """As the statement says it."""
        if self.exit == EXIT_OK:
            return "succeeded"
        return "failed" if self.exit in FINAL_EXITS else "interrupted"
