"""How computing a partition ended, and the record that is kept of it."""

from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from livecalc.domain.jobs import JobState
from livecalc.domain.partitions import Environment, NodeCost, OutputPart, PartitionRecord
from livecalc.domain.violations import Violation, format_violations
from livecalc.pipeline.partition import member_name


class Outcome(Struct, frozen=True, kw_only=True):
    """The end of one run of an engine."""

    state: Literal["succeeded", "failed", "interrupted", "lost"]
    """`failed` is the model's fault and final; `interrupted` was asked for; `lost` is neither: another try may do."""
    error: str | None = None
    violations: list[Violation] = field(default_factory=list[Violation])
    outputs: dict[str, OutputPart] = field(default_factory=dict[str, OutputPart])
    """Every bus value by address."""
    arrays: dict[str, Path] = field(default_factory=dict[str, Path])
    """The `.npy` file of each result by address, in the order's scratch folder."""
    nodes: dict[str, NodeCost] = field(default_factory=dict[str, NodeCost])
    environment: Environment = field(default_factory=Environment)
    started_at: str = ""
    finished_at: str = ""


def make_record(  # noqa: PLR0913  (each is a field of the record)
    outcome: Outcome, *, job_id: str, index: int, attempt: int, first: int, stop: int, block: int
) -> PartitionRecord:
    """Make the record of a partition that has succeeded, or has failed for good."""
    return PartitionRecord(
        job_id=job_id,
        index=index,
        first=first,
        stop=stop,
        block=block,
        attempt=attempt,
        state=JobState.SUCCEEDED if outcome.state == "succeeded" else JobState.FAILED,
        error=outcome.error,
        violations=format_violations(outcome.violations),
        outputs=outcome.outputs,
        files={address: member_name(address) for address in outcome.arrays},
        nodes=outcome.nodes,
        environment=outcome.environment,
        started_at=outcome.started_at,
        finished_at=outcome.finished_at,
    )
