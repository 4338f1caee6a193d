"""What a worker is told: one JSON document behind the one URL it is given, and the statement it ends with."""

import msgspec
from msgspec import Struct

from livecalc.domain.decoding import decode_json

GRANTS_ENV = "LIVECALC_GRANTS"
"""Holds the URL (READ) of the `Task`. Kept in the cluster's secret, never in plain settings."""


class PartitionTask(Struct, frozen=True, kw_only=True):
    """One completion index."""

    index: int
    first: int
    stop: int
    result: str
    """CREATE grant of the partition's blob."""
    logs: list[str]
    """CREATE grants, one for each attempt; a worker takes the first that is not written yet."""


class Task(Struct, frozen=True, kw_only=True):
    """All that a job's workers need."""

    job_id: str
    bundle: str
    """READ grant."""
    model_bundle_hash: str
    partitions: list[PartitionTask]
    limits: dict[str, int]
    """`bundle_bytes`, `bundle_files`, `bundle_ratio`, `log_bytes`, `memory_bytes`."""


class Statement(Struct, frozen=True, kw_only=True):
    """The termination message: how the worker ended, and what it stored. At most 4,096 bytes of JSON."""

    state: str
    """`succeeded`, `failed` (final) or `interrupted` (SIGTERM; may be tried again)."""
    error: str | None = None
    result_sha256: str | None = None
    result_bytes: int | None = None
    log_attempt: int | None = None
    """Which of the partition's log grants holds the stored copy; None when it could not be stored."""
    log_sha256: str | None = None
    log_bytes: int | None = None
    log_truncated: bool = False
    """True when the model printed more than LOG_LIMIT_MIB, or the worker's disk did not take all of it."""
    log_refused: bool = False
    """True when it was the disk."""


def read_statement(message: str) -> Statement | None:
    """Read a termination message; None when it is no statement of a worker."""
    try:
        return decode_json(message, Statement)
    except msgspec.DecodeError:
        return None
