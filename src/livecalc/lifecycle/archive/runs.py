"""The runs of containers that an archive accounts for: the names of their logs, and what these are worth. Pure."""

import hashlib

from msgspec import Struct

from livecalc.blobs.port import BlobInfo
from livecalc.cluster.port import MAIN_CONTAINER, ContainerRecord, PodRecord, Termination
from livecalc.domain.jobs import JOB_LABEL
from livecalc.domain.tasks import Statement, read_statement
from livecalc.lifecycle.archive.manifest import LogState
from livecalc.lifecycle.archive.places import LOGS

_LONGEST_NAME = 180
_KEPT = 150
ERROR_TEXT_LIMIT = 4096
"""Bytes; a longer answer is a log."""
NOTHING_STATES = "nothing states how much it printed"
_ERROR_TEXTS = (
    # A kubelet sends these with status 200 in place of a log: kubernetes/kubernetes#142258, #102170, #45911.
    b"unable to retrieve container logs for ",
    b"failed to try resolving symlinks in path ",
    b"failed to open log file ",
    b"failed to create fsnotify watcher: ",
    b"rpc error: code = ",
)


class Run(Struct, frozen=True, kw_only=True):
    """One run of one container: the present one, the one before the last restart, or all that were before that."""

    pod: PodRecord
    container: ContainerRecord
    previous: bool = False
    gone: int = 0
    """How many earlier runs this stands for, of which no node keeps anything."""

    @property
    def end(self) -> Termination | None:
        """How it ended; None while it runs or waits, and when nobody knows."""
        if self.gone:
            return None
        return self.container.previous if self.previous else self.container.terminated

    @property
    def started(self) -> bool:
        """Whether it has started; one of which the cluster has no status may have."""
        return self.end is not None or self.container.state == "running" or self.unclear

    @property
    def unclear(self) -> bool:
        """Whether nobody says that it started, nor that it did not."""
        waits = self.container.state == "waiting" and not self.previous
        return waits and not self.container.reason and self.pod.phase != "Pending"

    @property
    def running(self) -> bool:
        """Whether it may print more."""
        return not self.previous and self.container.state == "running"

    @property
    def of_worker(self) -> bool:
        """Whether it is one of ours, that states at its end what it printed."""
        return JOB_LABEL in self.pod.labels and self.container.name == MAIN_CONTAINER

    @property
    def note(self) -> str:
        """How it ended, or why it never started; empty when all is well."""
        if self.gone:
            return f"restarted: a node keeps the last two runs, {self.gone} earlier {_are(self.gone)} gone"
        return "; ".join(filter(None, [self._end_note, self._pod_note]))

    @property
    def _end_note(self) -> str:
        if self.unclear:
            return "the cluster does not say whether it started"
        if not self.started:
            why = self.container.reason or self.pod.reason or self.pod.phase
            return f"{'not started again' if self.container.previous else 'never started'}: {why}"
        if self.end is None or self.end.exit_code == 0:
            return ""
        return self.end.reason or "Error"

    @property
    def _pod_note(self) -> str:
        pod = self.pod
        if not pod.reason or self._end_note.endswith(pod.reason):
            return ""
        return f"pod {pod.reason}: {pod.message}" if pod.message else f"pod {pod.reason}"

    def is_run_of(self, info: BlobInfo) -> bool:
        """Tell whether a stored log is of this run."""
        return metadata(self).items() <= info.metadata.items()


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def runs_of(pod: PodRecord) -> list[Run]:
    """All runs of a pod's containers in their order; those that nobody can tell apart any more as one."""
    runs: list[Run] = []
    for container in pod.containers:
        earlier = container.restarts - (container.previous is not None)
        if earlier > 0:
            runs.append(Run(pod=pod, container=container, previous=True, gone=earlier))
        if container.previous is not None:
            runs.append(Run(pod=pod, container=container, previous=True))
        runs.append(Run(pod=pod, container=container))
    return runs


def metadata(run: Run) -> dict[str, str]:
    """What a stored log says about itself."""
    return {
        "pod": run.pod.name,
        "pod_uid": run.pod.uid,
        "container": run.container.name,
        "kind": run.container.kind,
        "previous": str(int(run.previous)),
    }


def log_name(run: Run, taken: set[str]) -> str:
    """Name a run's log within its archive; `taken` are the names that other runs have.

    `logs/{pod}.log` for a pod with one container, `logs/{pod}.{container}[.previous].log` for any other. Two pods of
    one name, or names that meet because a pod's may have dots, are told apart by `-2`, `-3`.
    """
    plain = len(run.pod.containers) == 1 and not run.previous
    stem = run.pod.name if plain else f"{run.pod.name}.{run.container.name}" + (".previous" if run.previous else "")
    if len(stem) > _LONGEST_NAME:
        stem = f"{stem[:_KEPT]}-{hashlib.sha256(stem.encode()).hexdigest()[:16]}"
    name, number = f"{LOGS}{stem}.log", 1
    while name in taken:
        number += 1
        name = f"{LOGS}{stem}-{number}.log"
    return name


def statement_of(run: Run) -> Statement | None:
    """Read what a worker of ours stated when it ended; None for anything else."""
    if run.end is None or not run.of_worker:
        return None
    return read_statement(run.end.message)


def is_error_text(head: bytes, statement: Statement | None) -> bool:
    """Tell whether a whole answer is the node's excuse instead of a log; never when the worker states these bytes."""
    text = head.strip()
    if len(head) > ERROR_TEXT_LIMIT or b"\n" in text or not text.startswith(_ERROR_TEXTS):
        return False
    return statement is None or statement.log_sha256 != hashlib.sha256(head).hexdigest()


def judge(
    info: BlobInfo, statement: Statement | None, *, while_running: bool, of_worker: bool = False
) -> tuple[LogState, str]:
    """Say what a stored log is worth, and why: complete is only what equals the worker's own statement."""
    if statement is not None and statement.log_sha256 is not None and info.sha256 == statement.log_sha256:
        if statement.log_truncated:
            why = "the disk of its worker took no more" if statement.log_refused else "printed more than LOG_LIMIT_MIB"
            return "truncated", f"{why}; the rest was not kept"
        return "complete", ""
    if while_running:
        return "truncated", "still running when it was archived"
    if statement is None or statement.log_sha256 is None:
        how = ""
        if info.metadata.get("source") == "worker":
            how = "its worker stored this and ended without stating it, and what its node still had is the end of it: "
        elif of_worker:
            how = "its worker ended without storing its log, so this is what its node still had: "
        return "unknown", f"{how}{NOTHING_STATES}"
    stated = statement.log_bytes or 0
    if info.size < stated:
        return "truncated", f"rotated; {stated - info.size:,} of {stated:,} bytes gone"
    return "truncated", "not what its worker states it printed"
