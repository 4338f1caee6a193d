"""The runs of containers whose logs an archive accounts for: their names in it, and what their logs are worth. Pure."""

import hashlib

from msgspec import Struct

from livecalc.blobs.port import BlobInfo
from livecalc.cluster.port import MAIN_CONTAINER, ContainerRecord, PodRecord, Termination
from livecalc.domain.jobs import JOB_LABEL
from livecalc.domain.tasks import Statement, read_statement
from livecalc.lifecycle.manifest import LogState
from livecalc.lifecycle.places import LOGS

_LONGEST_NAME = 180
_KEPT = 150
ERROR_TEXT_LIMIT = 4096
"""Bytes; a longer answer is a log."""
_ERROR_TEXTS = (
    # A kubelet sends these with status 200 in place of a log: kubernetes/kubernetes#142258, #102170, #45911.
    b"unable to retrieve container logs for ",
    b"failed to try resolving symlinks in path ",
    b"failed to open log file ",
    b"failed to create fsnotify watcher: ",
    b"rpc error: code = ",
)


class Run(Struct, frozen=True, kw_only=True):
    """One run of one container: the present one, or the one before the last restart."""

    pod: PodRecord
    container: ContainerRecord
    previous: bool = False

    @property
    def end(self) -> Termination | None:
        """How it ended; None while it runs or waits."""
        return self.container.previous if self.previous else self.container.terminated

    @property
    def started(self) -> bool:
        """Whether it can have printed anything."""
        return self.end is not None or self.container.state == "running"

    @property
    def running(self) -> bool:
        """Whether it may print more."""
        return not self.previous and self.container.state == "running"

    @property
    def note(self) -> str:
        """What happened to it, when that was not simply success; its exit code is said beside it."""
        if not self.started:
            return f"never started: {self.container.reason or self.pod.reason or self.pod.phase}"
        if self.end is None or self.end.exit_code == 0:
            return ""
        return self.end.reason or "Error"

    def is_run_of(self, info: BlobInfo) -> bool:
        """Tell whether a stored log is of this run."""
        return metadata(self).items() <= info.metadata.items()


def runs_of(pod: PodRecord) -> list[Run]:
    """All runs of a pod that can be told apart, in the order of its containers."""
    runs: list[Run] = []
    for container in pod.containers:
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
    if run.end is None or JOB_LABEL not in run.pod.labels or run.container.name != MAIN_CONTAINER:
        return None
    return read_statement(run.end.message)


def is_error_text(head: bytes, statement: Statement | None) -> bool:
    """Tell whether a whole answer is the node's excuse instead of a log; never when the worker states these bytes."""
    text = head.strip()
    if len(head) > ERROR_TEXT_LIMIT or b"\n" in text or not text.startswith(_ERROR_TEXTS):
        return False
    return statement is None or statement.log_sha256 != hashlib.sha256(head).hexdigest()


def judge(info: BlobInfo, statement: Statement | None, *, while_running: bool) -> tuple[LogState, str]:
    """Say what a stored log is worth, and why: complete is only what equals the worker's own statement."""
    if statement is not None and statement.log_sha256 is not None and info.sha256 == statement.log_sha256:
        if statement.log_truncated:
            return "truncated", "printed more than LOG_LIMIT_MIB; the rest was not kept"
        return "complete", ""
    if while_running:
        return "truncated", "still running when it was archived"
    if statement is None or statement.log_sha256 is None:
        return "unknown", "nothing states how much it printed"
    stated = statement.log_bytes or 0
    if info.size < stated:
        return "truncated", f"rotated; {stated - info.size:,} of {stated:,} bytes gone"
    return "truncated", "not what its worker states it printed"
