"""A worker's life from its task to its statement: however the work ends, its log is stored and its end is stated."""

import os
import time
from contextlib import suppress
from shutil import rmtree

from livecalc.domain.errors import LivecalcError
from livecalc.domain.tasks import PartitionTask, Statement, Task
from livecalc.pipeline.interrupt import Interrupt
from livecalc.pipeline.process import EngineProcess
from livecalc.worker.log import LogCopy
from livecalc.worker.pod import EXIT_AGAIN, End, Pod
from livecalc.worker.reporter import Reporter
from livecalc.worker.statement import write_statement
from livecalc.worker.storage import GrantClients, fetch_task, find_partition, store_log
from livecalc.worker.work import Work, do_work


def run_session(  # noqa: PLR0913  (each is a part of the worker)
    pod: Pod,
    grants: GrantClients,
    task_url: str,
    *,
    engine: EngineProcess,
    interrupt: Interrupt,
    reporter: Reporter,
) -> int:
    """Do the work behind a task's URL, write the statement, and return the pod's exit status."""
    started = time.monotonic()
    try:
        task = fetch_task(grants, task_url, pod.folder / "task.json")
        partition = find_partition(task, pod.index)
        log = LogCopy(pod.folder / "log", limit=task.limits["log_bytes"])
        log.say(_opening(task, partition, pod))
        end = _work(
            Work(
                pod=pod,
                task=task,
                partition=partition,
                grants=grants,
                engine=engine,
                interrupt=interrupt,
                reporter=reporter,
                log=log,
            )
        )
        for failure in reporter.close():
            log.say(failure)
        log.say(_closing(end, time.monotonic() - started))
        log.close()
    except LivecalcError as error:
        return _give_up(pod, error.detail)
    except OSError as error:
        return _give_up(pod, _stuck(error))
    statement = _statement(end, log, _store_log(pod, grants, partition, log))
    _state(pod, statement)
    return end.exit


def _work(work: Work) -> End:
    """Do it; a disk that is full, or broken, ends the work and not the log."""
    try:
        return do_work(work)
    except OSError as error:
        return End(exit=EXIT_AGAIN, error=_stuck(error))


def _stuck(error: OSError) -> str:
    return f"the worker could not go on: {error}"


def _opening(task: Task, partition: PartitionTask, pod: Pod) -> str:
    scenarios = f"{partition.first}-{partition.stop - 1}"
    return f"job {task.job_id}, partition {partition.index}, scenarios {scenarios}, try {pod.attempt + 1}"


def _closing(end: End, seconds: float) -> str:
    reason = "" if end.error is None else f": {end.error}"
    return f"{end.state} after {seconds:.2f} s, exit {end.exit}{reason}"


def _store_log(pod: Pod, grants: GrantClients, partition: PartitionTask, log: LogCopy) -> int | None:
    """Store the copy. Nothing can be said of a failure here but in the statement: the log is closed."""
    try:
        return store_log(grants, partition.logs, pod.attempt, log.path, log.sha256)
    except LivecalcError:
        return None


def _statement(end: End, log: LogCopy, log_attempt: int | None) -> Statement:
    return Statement(
        state=end.state,
        error=end.error,
        result_sha256=end.result.sha256,
        result_bytes=end.result.size,
        log_attempt=log_attempt,
        log_sha256=log.sha256,
        log_bytes=log.size,
        log_truncated=log.truncated,
        log_refused=bool(log.refused),
    )


def _give_up(pod: Pod, error: str) -> int:
    """End without a log of one's own: what can be said goes to standard output and into the statement."""
    with suppress(OSError):
        os.write(1, f"livecalc: {error}\n".encode(errors="backslashreplace"))
    _state(pod, Statement(state="interrupted", error=error))
    return EXIT_AGAIN


def _state(pod: Pod, statement: Statement) -> None:
    """Write the statement, the worker's last act; what was stored stays stored, so a failure changes no exit status."""
    with suppress(OSError):
        try:
            write_statement(pod.termination_file, statement)
        except OSError:
            # On a full disk it may be the worker's own files that are in the way, and they go in a moment anyhow.
            rmtree(pod.folder, ignore_errors=True)
            write_statement(pod.termination_file, statement)
