"""What a caller may ask to run."""

from msgspec import Struct, field

from livecalc.domain.buckets import check_bucket_id
from livecalc.domain.errors import InvalidInput
from livecalc.domain.retention import Retention

_LABEL_LENGTH = 63
_NAME_LENGTH = 200
_LABELS = 32
_MOST_PARTITIONS = 1000


class SubmitRequest(Struct, frozen=True, kw_only=True):
    """What a caller asks to run; None takes the default."""

    bucket_id: str
    model_bundle_hash: str
    name: str | None = None
    labels: dict[str, str] = field(default_factory=dict[str, str])
    partitions: int | None = None
    deadline_seconds: float | None = None
    retention: Retention | None = None
    submit_key: str | None = None
    """Chosen by the caller, so that he can ask again after a lost answer: the same key in a bucket is the same job."""


def check_request(request: SubmitRequest, longest: float) -> SubmitRequest:
    """Return a request that may be run, for at most `longest` seconds. Raises InvalidInput."""
    check_bucket_id(request.bucket_id)
    if request.partitions is not None and not 1 <= request.partitions <= _MOST_PARTITIONS:
        raise InvalidInput(f"partitions={request.partitions} is not valid: use 1 to {_MOST_PARTITIONS}")
    deadline = request.deadline_seconds
    if deadline is not None and not 0 < deadline <= longest:
        raise InvalidInput(
            f"deadline_seconds={deadline:g} is not valid: use more than 0, at most {longest:g} (JOB_DEADLINE_HOURS)"
        )
    if request.name is not None and not (0 < len(request.name) <= _NAME_LENGTH and request.name.isprintable()):
        raise InvalidInput(f"name {request.name[:40]!r} is not valid: use 1 to {_NAME_LENGTH} printable characters")
    key = request.submit_key
    if key is not None and not (0 < len(key) <= _NAME_LENGTH and key.isprintable()):
        raise InvalidInput(f"submit_key {key[:40]!r} is not valid: use 1 to {_NAME_LENGTH} printable characters")
    if len(request.labels) > _LABELS:
        raise InvalidInput(f"{len(request.labels)} labels are too many: use at most {_LABELS}")
    for key, value in request.labels.items():
        if not (0 < len(key) <= _LABEL_LENGTH and len(value) <= _LABEL_LENGTH and (key + value).isprintable()):
            raise InvalidInput(
                f"label {key[:40]!r} is not valid: key and value have at most {_LABEL_LENGTH} characters"
            )
    return request
