"""Server-sent events of a job, read until the job has ended, over as many connections as that takes."""

import time
from collections.abc import Callable, Iterator

import msgspec

from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import Unavailable
from livecalc.domain.jobs import JobState
from livecalc.wire.jobs import Job

_ATTEMPTS = 10
_LONGEST_PAUSE = 10.0


def follow(connect: Callable[[], Iterator[bytes]], *, pause: Callable[[float], None] = time.sleep) -> Iterator[Job]:
    """Yield a job whenever it has changed, and last when it has ended.

    A connection that breaks is made anew, after pauses that grow; ten in a row without a word raise Unavailable.
    """
    last: Job | None = None
    failures = 0
    while True:
        try:
            for job in read_events(connect()):
                failures = 0
                if job != last:
                    yield job
                last = job
                if JobState(job.state).final:
                    return
        except Unavailable:
            if failures + 1 >= _ATTEMPTS:
                raise
        failures += 1
        if failures >= _ATTEMPTS:
            raise Unavailable("the platform ends the events of this job again and again before the job has ended")
        pause(min(0.1 * 2**failures, _LONGEST_PAUSE))


def read_events(chunks: Iterator[bytes]) -> Iterator[Job]:
    """Read the jobs in a stream of events; comments and events of other kinds are passed over."""
    buffer = b""
    for chunk in chunks:
        buffer += chunk.replace(b"\r\n", b"\n")
        *events, buffer = buffer.split(b"\n\n")
        for event in events:
            data = _data(event)
            if data:
                yield _job(data)


def _data(event: bytes) -> bytes:
    fields = [line.partition(b":") for line in event.split(b"\n") if line and not line.startswith(b":")]
    kind = next((value.strip() for name, _, value in fields if name == b"event"), b"job")
    if kind != b"job":
        return b""
    return b"\n".join(value.removeprefix(b" ") for name, _, value in fields if name == b"data")


def _job(data: bytes) -> Job:
    try:
        return decode_json(data, Job)
    except msgspec.DecodeError:
        raise Unavailable("the platform sent an event that is no job") from None
