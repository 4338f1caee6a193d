"""What a manifest says of the log of one run: what that is worth, or why there is none. Pure."""

from livecalc.blobs.port import BlobInfo
from livecalc.domain.tasks import Statement
from livecalc.lifecycle.archive.manifest import ContainerLog, LogState
from livecalc.lifecycle.archive.runs import NOTHING_STATES, Run, judge
from livecalc.records.model import SubmittedRecord


def without_log(run: Run) -> ContainerLog | None:
    """Describe a run that has no log to be stored; None for any other."""
    if run.gone:
        return _entry(run, state="lost", note=run.note)
    return None if run.started else _entry(run, state="complete", note=run.note)


def too_large(size: int, job: SubmittedRecord | None) -> str:
    """Say why the log that a worker of a job has stored is not taken; empty when it may be so large."""
    if job is None or job.log_limit is None or size <= job.log_limit:
        return ""
    return f"its worker stored {size:,} bytes as its log, and {job.log_limit:,} are the most: they were not taken"


def judged(run: Run, name: str, stored: BlobInfo, statement: Statement | None, refused: str = "") -> ContainerLog:
    """Describe a stored log of a run; `refused` says why it is not the worker's own copy."""
    while_running = stored.metadata.get("running") == "1"
    state, why = judge(stored, statement, while_running=while_running, of_worker=run.of_worker)
    return _entry(run, state=state, note=_joined(refused, why, run.note), name=name, stored=stored)


def lost(run: Run, why: str) -> ContainerLog:
    """Describe a run whose log could not be had."""
    return _entry(run, state="lost", note=_joined(why, run.note))


def of_absent(run: Run, name: str, stored: BlobInfo | None, why: str) -> ContainerLog:
    """Describe the log of a pod that is not listed; `why` says that of one without."""
    if stored is None:
        return _entry(run, state="lost", note=_joined(run.pod.message, why))
    return _entry(run, state="unknown", note=f"{run.pod.message}; {NOTHING_STATES}", name=name, stored=stored)


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _entry(
    run: Run, *, state: LogState, note: str, name: str | None = None, stored: BlobInfo | None = None
) -> ContainerLog:
    return ContainerLog(
        name=run.container.name,
        kind=run.container.kind if run.container.name else "",
        previous=run.previous,
        state=state,
        blob=name,
        bytes=stored.size if stored else 0,
        sha256=stored.sha256 if stored else None,
        source="none" if stored is None else ("worker" if stored.metadata.get("source") == "worker" else "node"),
        note=note,
        exit_code=run.end.exit_code if run.end else None,
    )
