"""What came of a run of retention, for counters, logs and answers."""

from typing import Literal

from msgspec import Struct

from livecalc.lifecycle.retention.marks import Target

Result = Literal["deleted", "kept", "waiting", "elsewhere", "failed"]


class Outcome(Struct, frozen=True, kw_only=True):
    """One planned deletion."""

    tenant: str
    target: Target
    result: Result
    """`kept`: something stood against it at last; `waiting`: what needs it is still there; `elsewhere`: another's."""
    message: str
    blobs: int = 0
    bytes: int = 0


class RetentionReport(Struct, frozen=True, kw_only=True):
    """What a run did."""

    outcomes: tuple[Outcome, ...] = ()
    problems: tuple[str, ...] = ()

    def count(self, result: Result) -> int:
        """How many ended so."""
        return sum(outcome.result == result for outcome in self.outcomes)

    @property
    def bytes(self) -> int:
        """How many bytes were deleted."""
        return sum(outcome.bytes for outcome in self.outcomes if outcome.result == "deleted")

    @property
    def clean(self) -> bool:
        """Whether everything was decided and done; else `livecalc retention apply` ends with exit 1."""
        return self.count("failed") == 0 and not self.problems
