"""What a worker leaves behind for one partition; JSON, field names are a public format."""

from typing import Any

from msgspec import Struct, field

from livecalc.domain.jobs import JobState


class OutputPart(Struct, frozen=True, kw_only=True):
    """One bus value as one partition computed it."""

    node: str
    dtype: str
    """`<f8`"""
    shape: tuple[int, ...]
    """Of this partition; axis 0 is its scenarios."""
    digests: list[str]
    """Of its blocks, in order, hex."""


class NodeCost(Struct, frozen=True, kw_only=True):
    """What a node cost in one partition."""

    engine: str
    cpu_seconds: float
    wall_seconds: float


class PartitionRecord(Struct, frozen=True, kw_only=True):
    """`record.json` inside a partition's blob (a ZIP, stored, with one `.npy` per result beside it).

    A failed partition has `error` and no outputs; a succeeded one has no error.
    """

    format: int = 1
    job_id: str
    index: int
    first: int
    stop: int
    attempt: int
    state: JobState
    error: str | None = None
    violations: str = ""
    """As the pod's annotation."""
    outputs: dict[str, OutputPart] = field(default_factory=dict[str, OutputPart])
    """Every bus value by address, results and inner ones alike."""
    files: dict[str, str] = field(default_factory=dict[str, str])
    """The `.npy` member of each result, by address."""
    nodes: dict[str, NodeCost] = field(default_factory=dict[str, NodeCost])
    environment: dict[str, Any] = field(default_factory=dict[str, Any])
    started_at: str
    finished_at: str
