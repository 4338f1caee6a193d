"""What a worker leaves behind for one partition, and how partitions become one output again.

The record is JSON; its field names are a public format.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec import Struct, field

from livecalc.domain.errors import Damaged
from livecalc.domain.jobs import JobState
from livecalc.domain.modelconfig import DEFAULT_BLOCK
from livecalc.domain.resulthash import DIGEST_BYTES, OutputDigest

Environment = dict[str, str | list[str]]
"""What bits depend on besides a bundle and a seed. Flat, whoever wrote it: it is copied from record to record."""


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
    block: int = DEFAULT_BLOCK
    """Scenarios in each of its blocks; the last block of the last partition may have fewer."""
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
    environment: Environment = field(default_factory=Environment)
    started_at: str
    finished_at: str


def block_ranges(first: int, stop: int, block: int) -> list[tuple[int, int]]:
    """Cut scenarios `first` to `stop` (exclusive) into blocks; `first` lies on a block's edge."""
    return [(start, min(start + block, stop)) for start in range(first, stop, block)]


def join_outputs(records: Iterable[PartitionRecord], scenarios: int) -> dict[str, OutputDigest]:
    """Join the partitions of one job, in any order, into its outputs by address.

    Raises Damaged when they do not fit together: scenarios missing or twice, other blocks, dtypes or shapes.
    """
    parts = sorted(records, key=lambda record: record.first)
    _check_cover(parts, scenarios)
    addresses = list(parts[0].outputs)
    for part in parts:
        if set(part.outputs) != set(addresses):
            raise Damaged(f"{_name(part)} has other outputs than {_name(parts[0])}")
    return {address: _join(address, parts) for address in addresses}


def _check_cover(parts: Sequence[PartitionRecord], scenarios: int) -> None:
    edges = [0, *(edge for part in parts for edge in (part.first, part.stop)), scenarios]
    gaps = [(edges[i], edges[i + 1]) for i in range(0, len(edges), 2) if edges[i] != edges[i + 1]]
    if gaps or not parts:
        raise Damaged(f"the partitions do not cover scenarios 0 to {scenarios} once: they break at {gaps[:1]}")
    for part, follower in pairwise(parts):
        if part.block != follower.block:
            raise Damaged(f"{_name(follower)} has blocks of {follower.block}, {_name(part)} of {part.block}")


def _join(address: str, parts: Sequence[PartitionRecord]) -> OutputDigest:
    model = parts[0].outputs[address]
    digests: list[bytes] = []
    for part in parts:
        output = part.outputs[address]
        if output.dtype != model.dtype or output.shape[1:] != model.shape[1:]:
            raise Damaged(f"{_name(part)} has {address} as {output.dtype} {output.shape}, not like {_name(parts[0])}")
        if output.shape[:1] != (part.stop - part.first,):
            raise Damaged(f"{_name(part)} has {address} for {output.shape[:1]} scenarios")
        digests += _digests(address, part)
    scenarios = sum(part.stop - part.first for part in parts)
    return OutputDigest(dtype=model.dtype, shape=(scenarios, *model.shape[1:]), block=parts[0].block, digests=digests)


def _digests(address: str, part: PartitionRecord) -> list[bytes]:
    try:
        digests = [bytes.fromhex(text) for text in part.outputs[address].digests]
    except ValueError:
        digests = []
    blocks = len(range(part.first, part.stop, part.block)) if part.block > 0 else 0
    if part.first % max(part.block, 1) or len(digests) != blocks or any(len(raw) != DIGEST_BYTES for raw in digests):
        raise Damaged(f"{_name(part)} has no {blocks} block digests of {address}")
    return digests


def _name(part: PartitionRecord) -> str:
    return f"partition {part.index} (scenarios {part.first}-{part.stop - 1})"
