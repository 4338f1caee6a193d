"""Bodies of `/v1/jobs` and `/v1/bundles`."""

from typing import Any

from msgspec import Struct, field


class BundlePushed(Struct, frozen=True, kw_only=True):
    """The answer to pushing a bundle."""

    model_bundle_hash: str
    size: int


class Submitted(Struct, frozen=True, kw_only=True):
    """The answer to a submit."""

    job_id: str
    bucket_id: str
    namespace: str
    model_bundle_hash: str
    status_url: str


class Progress(Struct, frozen=True, kw_only=True):
    """Done of total."""

    done: int
    total: int


class NodeReport(Struct, frozen=True, kw_only=True):
    """What one node of the pipeline cost."""

    id: str
    engine: str
    blocks: Progress
    cpu_seconds: float


class Recomputation(Struct, frozen=True, kw_only=True):
    """One recorded recomputation of a job."""

    at: str
    match: bool
    duration_seconds: float
    result_hash: str | None


class Job(Struct, frozen=True, kw_only=True):
    """A job, alive or long gone."""

    job_id: str
    bucket_id: str
    name: str | None
    labels: dict[str, str]
    model_bundle_hash: str
    state: str
    user_id: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    scenarios: Progress
    partitions: Progress
    result_hash: str | None
    error: str | None
    environment: dict[str, Any]
    archive: str | None
    """`{bucket_id}/{timestamp}` once its namespace was reaped."""
    namespace: str
    model: str
    """`term-life v1`."""
    block: int
    seed: int
    outputs: list[str]
    retention: str
    retries: int
    nodes: list[NodeReport] = field(default_factory=list[NodeReport])
    violations: int = 0
    recomputations: list[Recomputation] = field(default_factory=list[Recomputation])
    kept_until: str | None = None


class OutputSummary(Struct, frozen=True, kw_only=True):
    """The distribution of one output over scenarios; `docs/models.md` says how each figure is computed."""

    output: str
    """The bus address without `bus://results/`; with `[i]` behind it for one column of a wider output."""
    count: int
    mean: float | None
    se: float | None
    sd: float | None
    quantiles: dict[str, float | None]
    """By percent: `0.5`, `5`, `50`, `95`, `99.5`."""
    cte: dict[str, float | None]
    """Conditional tail expectation by percent: `70`, `90`, `99`."""


class Result(Struct, frozen=True, kw_only=True):
    """The summary of a job's outputs."""

    job_id: str
    result_hash: str
    outputs: list[OutputSummary]


class Difference(Struct, frozen=True, kw_only=True):
    """Where two runs first differ, and how far."""

    output: str
    block: int
    first: int
    stop: int
    scenario: int | None
    original: float | None
    resumed: float | None
    blocks_differing: int
    blocks_total: int
    values_differing: int | None
    values_total: int | None
    largest_relative: float | None
    upstream: str | None
    """The bus address and node that differ first, when an inner value does."""
