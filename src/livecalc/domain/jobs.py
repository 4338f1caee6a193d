"""Jobs: their ids, their states, their partitions."""

import re
from datetime import datetime
from enum import StrEnum

from livecalc.domain.errors import InvalidInput

EXIT_OK = 0
EXIT_MODEL = 10
EXIT_VIOLATION = 11
EXIT_BUNDLE = 12
FINAL_EXITS = frozenset({EXIT_MODEL, EXIT_VIOLATION, EXIT_BUNDLE})
"""Exit codes of a worker that no retry can mend; any other end is tried again."""

JOB_LABEL = "livecalc.io/job-id"
"""The label of our jobs' pods; a pod without it is foreign."""
PROGRESS = "livecalc.io/progress"
PROGRESS_PATTERN = re.compile(r"\d+/\d+", re.ASCII)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_JOB_ID = re.compile(f"j-[{_ALPHABET}]{{12}}", re.ASCII)
_TIME_DIGITS = 7
_RANDOM_DIGITS = 5
RANDOM_BITS = 5 * _RANDOM_DIGITS


class JobState(StrEnum):
    """The states of a job; the last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the job will not change any more."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


def _base32(value: int, digits: int) -> str:
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(5 * (digits - 1), -1, -5))


def new_job_id(now: datetime, random: int) -> str:
    """Make a job id that sorts by its second: `j-`, 7 digits of time, 5 of 25 random bits (Crockford's base 32)."""
    return f"j-{_base32(int(now.timestamp()), _TIME_DIGITS)}{_base32(random, _RANDOM_DIGITS)}"


def is_job_id(text: str) -> bool:
    """Tell whether a text is a whole job id."""
    return _JOB_ID.fullmatch(text) is not None


def check_job_id(text: str) -> str:
    """Return a whole job id or raise InvalidInput."""
    if not is_job_id(text):
        msg = f"job id {text[:60]!r} is not valid: it looks like j-01jdx4m8k3q7"
        raise InvalidInput(msg)
    return text


def split_blocks(scenarios: int, block: int, partitions: int) -> list[tuple[int, int]]:
    """Split scenarios into at most `partitions` ranges (first, stop) of whole blocks, as even as can be."""
    blocks = -(-scenarios // block)
    parts = max(1, min(partitions, blocks))
    edges = [blocks * part // parts * block for part in range(parts)]
    return list(zip(edges, [*edges[1:], scenarios], strict=True))
