"""Bodies of `/v1/platform/mttc/verify`."""

from typing import Any

from msgspec import Struct

from livecalc.wire.jobs import Difference


class VerifyRequest(Struct, frozen=True, kw_only=True):
    """Which run to recompute."""

    bucket_id: str
    model_bundle_hash: str
    job_id: str | None = None


class Phase(Struct, frozen=True, kw_only=True):
    """One timed phase of a recomputation."""

    name: str
    seconds: float


class Verified(Struct, frozen=True, kw_only=True):
    """What a recomputation found; `success` is a match within the target."""

    success: bool
    original_result_hash: str
    resumed_result_hash: str | None
    match: bool
    duration_seconds: float
    message: str
    original_job_id: str
    target_seconds: float
    phases: list[Phase]
    first_difference: Difference | None
    environment: dict[str, Any]
    """`{original: {...}, resumed: {...}, differs: [...]}`."""
