"""The records of a job as they are stored; JSON, field names are a public format."""

from typing import Any

from msgspec import Struct, field

from livecalc.domain.jobs import JobState


class PartitionPlan(Struct, frozen=True, kw_only=True):
    """One partition as it was submitted, and the blobs that its worker may write."""

    index: int
    first: int
    stop: int
    blob: str
    """`jobs/{job_id}/partitions/{first}-{nonce}`."""
    logs: list[str]
    """One name for each attempt: `jobs/{job_id}/logs/{first}-{attempt}-{nonce}`."""


class SubmittedRecord(Struct, frozen=True, kw_only=True):
    """`jobs/{job_id}/submitted.json`."""

    format: int = 1
    job_id: str
    bucket_id: str
    namespace: str
    namespace_uid: str = ""
    """Tells it from another of that name, before or after it; empty in records of earlier versions."""
    tenant_id: str
    user_id: str
    name: str | None
    labels: dict[str, str]
    model_bundle_hash: str
    bundle_size: int
    model_name: str
    model_version: str
    scenarios: int
    block: int
    seed: int
    nodes: dict[str, str]
    """Engine scheme (`python`, `wasm`) by node id, in the order they run."""
    results: list[str]
    partitions: list[PartitionPlan]
    deadline_seconds: float
    retention: str
    image: str
    versions: dict[str, str]
    created_at: str
    log_limit: int | None = None
    """The most bytes that a worker may store as its log; None in records of earlier versions."""


class FinishedRecord(Struct, frozen=True, kw_only=True):
    """`jobs/{job_id}/finished.json`."""

    format: int = 1
    job_id: str
    state: JobState
    result_hash: str | None = None
    error: str | None = None
    outputs: dict[str, str] = field(default_factory=dict[str, str])
    """Output digest of each result by address, hex."""
    partitions: list[str] = field(default_factory=list[str])
    """Blob of each partition that the result was made from, by index."""
    partition_digests: list[str] = field(default_factory=list[str])
    """SHA-256 of each of these blobs, hex."""
    scenarios_done: int = 0
    """How far the job came; of a job that did not succeed, as far as its workers said."""
    retries: int = 0
    violations: int = 0
    environment: dict[str, Any] = field(default_factory=dict[str, Any])
    started_at: str | None = None
    finished_at: str
    audit_head: str | None = None


class JobRecords(Struct, frozen=True, kw_only=True):
    """What is remembered of one job; a copy lies in the archive of its namespace."""

    submitted: SubmittedRecord
    finished: FinishedRecord | None
    """None when it could not be read."""


class RecomputedRecord(Struct, frozen=True, kw_only=True):
    """`jobs/{job_id}/recomputed/{timestamp}-{nonce}.json`."""

    format: int = 1
    job_id: str
    at: str
    match: bool
    duration_seconds: float
    result_hash: str | None
    message: str
