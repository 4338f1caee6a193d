"""The logs that an archive's folder holds already, each of one run: what is there is not stored again."""

from collections.abc import Iterable, Mapping

from msgspec import structs

from livecalc.blobs.port import BlobInfo
from livecalc.cluster.port import PodRecord
from livecalc.domain.jobs import JOB_LABEL
from livecalc.lifecycle.archive.absent import is_absent_uid
from livecalc.lifecycle.archive.accounts import judged, lost, without_log
from livecalc.lifecycle.archive.manifest import ContainerLog, PodLogs
from livecalc.lifecycle.archive.places import LOGS
from livecalc.lifecycle.archive.runs import Run, log_name, runs_of, statement_of


class StoredLogs:
    """What was there at the start, by names relative to the folder; and which names the archive's logs have."""

    def __init__(self, stored: Mapping[str, BlobInfo]) -> None:
        self._logs = {name: info for name, info in stored.items() if name.startswith(LOGS)}
        self._by_pod: dict[str, list[str]] = {}
        for name, info in self._logs.items():
            self._by_pod.setdefault(info.metadata.get("pod_uid", ""), []).append(name)
        self._names = set(self._logs)
        self._claimed: set[str] = set()

    def find(self, run: Run) -> tuple[str, BlobInfo | None]:
        """Tell the name of a run's log, and what is stored under it; an empty name for runs that have none."""
        if run.gone:
            return "", None
        for name in self._by_pod.get(run.pod.uid, ()):
            if run.is_run_of(self._logs[name]):
                self._claimed.add(name)
                return name, self._logs[name]
        name = log_name(run, self._names)
        self._names.add(name)
        return name, None

    def orphans(self) -> list[PodLogs]:
        """The logs of no run that was asked for, by pod.

        A reaper that was killed stored them, and their pods went before it could say so anywhere else.
        """
        found: list[PodLogs] = []
        for uid, names in self._by_pod.items():
            logs = [_orphan(name, self._logs[name]) for name in names if name not in self._claimed]
            if logs:
                pod = self._logs[names[0]].metadata.get("pod", "")
                found.append(PodLogs(name=pod, uid=uid, phase="Unknown", containers=logs))
        return found


def pod_logs(pod: PodRecord, logs: list[ContainerLog]) -> PodLogs:
    """Describe a pod by its logs."""
    return PodLogs(
        name=pod.name,
        uid=pod.uid,
        phase=pod.phase,
        node=pod.node,
        job_id=pod.labels.get(JOB_LABEL),
        index=pod.index,
        containers=logs,
    )


def account_for(pods: Iterable[PodRecord], stored: Mapping[str, BlobInfo]) -> list[PodLogs]:
    """Describe pods by what is stored of their logs, when nothing more will be; and the logs of other pods."""
    logs = StoredLogs(stored)
    found = [pod_logs(pod, [_as_it_is(run, *logs.find(run)) for run in runs_of(pod)]) for pod in pods]
    return sorted([*found, *map(without_made_uid, logs.orphans())], key=lambda pod: pod.name)


def without_made_uid(logs: PodLogs) -> PodLogs:
    """Leave out a uid that is none of a cluster's."""
    return structs.replace(logs, uid="") if is_absent_uid(logs.uid) else logs


def _as_it_is(run: Run, name: str, stored: BlobInfo | None) -> ContainerLog:
    if stored is not None:
        return judged(run, name, stored, statement_of(run))
    return without_log(run) or lost(run, "it was not stored before the archive was waived")


def _orphan(name: str, info: BlobInfo) -> ContainerLog:
    said = info.metadata
    return ContainerLog(
        name=said.get("container", ""),
        kind=said.get("kind", ""),
        previous=said.get("previous") == "1",
        state="unknown",
        blob=name,
        bytes=info.size,
        sha256=info.sha256,
        source="worker" if said.get("source") == "worker" else "node",
        note="its pod was gone when the archive was continued",
    )
