"""Wait for a job on the terminal: progress, then what came of it. Ctrl-C detaches, it never cancels."""

import time
from typing import TYPE_CHECKING

from livecalc.cli.format import between, duration, short
from livecalc.cli.output import bad, emit, emit_json, good, note
from livecalc.cli.progress import scenarios
from livecalc.domain.errors import Unavailable
from livecalc.domain.jobs import JobState

if TYPE_CHECKING:
    from livecalc.client import Client
    from livecalc.wire.jobs import Job

_INTERRUPTED = 130


def wait_for(client: "Client", job_id: str, *, as_json: bool, since: float | None = None) -> int:
    """Follow a job to its end and print it; returns the exit code: 0 when it succeeded.

    `since` is the monotonic time at which it was submitted, for who waited from the beginning.
    """
    try:
        job = follow(client, job_id, "Run     ")
    except KeyboardInterrupt:
        note(f"\nDetached; {job_id} goes on. Watch again: livecalc jobs watch {job_id}")
        return _INTERRUPTED
    if as_json:
        emit_json(job)
    elif job.state == JobState.SUCCEEDED:
        took = between(job.started_at, job.finished_at) if since is None else duration(time.monotonic() - since)
        _show_success(client, job, took)
    else:
        reason = "" if job.error == job.state else f": {job.error or 'no reason was recorded'}"
        emit(bad(job.state.capitalize() + reason))
        note(f"Log: livecalc jobs logs {job_id}")
    return 0 if job.state == JobState.SUCCEEDED else 1


def follow(client: "Client", job_id: str, label: str) -> "Job":
    """Show a job's progress until it has ended, and return it then."""
    last: Job | None = None
    with scenarios(label) as advance:
        for job in client.watch(job_id):
            last = job
            advance(job.scenarios.done, job.scenarios.total)
    if last is None:
        raise Unavailable(f"the platform said nothing about job {job_id}: look with `livecalc jobs show {job_id}`")
    return last


def _show_success(client: "Client", job: "Job", took: str) -> None:
    from livecalc.cli.views.jobs import summary

    emit(good(f"Succeeded in {took}, result {short(job.result_hash)}"))
    emit("")
    emit(summary(client.result(job.job_id)))
    note(f"Result: livecalc jobs result {job.job_id} --format parquet -o result.parquet")
