"""Bring everything of a namespace but the manifest into the folder of its archive, each blob once."""

import asyncio
import logging
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import TypeVar

import msgspec
from msgspec import Struct, structs

from livecalc.blobs.port import BlobInfo, BlobStore, read_all
from livecalc.cluster.port import Cluster, EventRecord, PodRecord
from livecalc.domain.errors import AlreadyExists, Conflict, Damaged
from livecalc.domain.jobs import JOB_LABEL
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.shelves import result_shelf
from livecalc.domain.timestamps import format_timestamp
from livecalc.domain.violations import parse_violations
from livecalc.lifecycle.archive.absent import absent_pods, is_absent, silent_indexes, unclaimed_copies, with_copies
from livecalc.lifecycle.archive.logs import LogKeeper
from livecalc.lifecycle.archive.manifest import ContainerLog, PodLogs, PodViolation, PodViolations, encode
from livecalc.lifecycle.archive.places import EVENTS, LOGS, PODS, VIOLATIONS, Place, about, job_records, locked_until
from livecalc.lifecycle.archive.runs import Run, log_name, runs_of
from livecalc.lifecycle.archive.violations import violations_of
from livecalc.records import paths
from livecalc.records.book import JobBook
from livecalc.records.bounded import map_bounded
from livecalc.records.model import JobRecords, SubmittedRecord

T = TypeVar("T")
LOG = logging.getLogger("livecalc.cleanup")
_AT_ONCE = 8
_ROUNDS = 10
"""How often pods that appeared meanwhile are looked for."""


class Collected(Struct, frozen=True, kw_only=True):
    """What the manifest says of pods."""

    pods: list[PodLogs]
    violations: int


class Collection:
    """One archive's content. `stored` is what its folder held at the start, by name."""

    def __init__(  # noqa: PLR0913  (two ports, the records, the keeper of logs, and which archive)
        self,
        *,
        cluster: Cluster,
        blobs: BlobStore,
        book: JobBook,
        keeper: LogKeeper,
        place: Place,
        record: NamespaceRecord,
        jobs: Sequence[JobRecords],
        stored: dict[str, BlobInfo],
    ) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._book = book
        self._keeper = keeper
        self._place = place
        self._record = record
        self._jobs = jobs
        self._logs = {name: info for name, info in stored.items() if name.startswith(LOGS)}
        self._by_pod: dict[str, list[str]] = {}
        for name, info in self._logs.items():
            self._by_pod.setdefault(info.metadata.get("pod_uid", ""), []).append(name)
        self._has_pods = PODS in stored
        self._names = set(self._logs)
        self._claimed: set[str] = set()
        self._seen: dict[str, PodRecord] = {}
        """Every pod that was ever there, as it was seen last."""
        self._done: dict[str, PodLogs] = {}

    async def collect(self, *, at_once: int) -> Collected | None:
        """Store logs, pods, violations and events; None when what is stored already came too early for a pod.

        Raises Unavailable, Damaged, Conflict (pods keep coming, or a name is another's).
        """
        if self._has_pods:
            self._see(await self._read(PODS, list[PodRecord]))
        slots = asyncio.Semaphore(at_once)
        for _ in range(_ROUNDS):
            self._see(await self._cluster.list_pods(self._record.name))
            fresh = [pod for uid, pod in self._seen.items() if uid not in self._done]
            if not fresh:
                return await self._finish()
            planned = [(pod, [(run, self._name(run)) for run in runs_of(pod)]) for pod in fresh]
            for done in await map_bounded(lambda one: self._keep_pod(*one, slots), planned, at_once=len(planned)):
                self._done[done.uid] = done
        raise Conflict(f"namespace {self._record.name} keeps getting new pods while it is archived")

    def _see(self, pods: Sequence[PodRecord]) -> None:
        self._seen.update({pod.uid: pod for pod in pods})

    def _name(self, run: Run) -> tuple[str, BlobInfo | None]:
        if run.gone:
            return "", None
        for name in self._by_pod.get(run.pod.uid, ()):
            if run.is_run_of(self._logs[name]):
                self._claimed.add(name)
                return name, self._logs[name]
        name = log_name(run, self._names)
        self._names.add(name)
        return name, None

    async def _keep_pod(
        self, pod: PodRecord, runs: list[tuple[Run, tuple[str, BlobInfo | None]]], slots: asyncio.Semaphore
    ) -> PodLogs:
        logs: list[ContainerLog] = []
        for run, (name, stored) in runs:
            async with slots:
                logs.append(await self._keeper.keep(run, name, stored))
        LOG.info("Archived logs for pod %s", pod.name)
        return _pod_logs(pod, logs)

    async def _finish(self) -> Collected | None:
        pods = sorted(self._seen.values(), key=lambda pod: (pod.name, pod.uid))
        told = await self._put(PODS, pods, list[PodRecord])
        if not self._seen.keys() <= {pod.uid for pod in told}:
            return None
        events = await self._put(EVENTS, await self._cluster.list_events(self._record.name), list[EventRecord])
        own = [job.submitted for job in self._jobs if job.submitted.namespace_uid in {"", self._record.uid}]
        absent = absent_pods(self._record.name, told, events, own)
        await map_bounded(self._keep_records, self._jobs, at_once=_AT_ONCE)
        violations = await self._put(VIOLATIONS, await self._violations([*pods, *absent]), list[PodViolations])
        number = sum(len(pod.violations) + len(pod.malformed) for pod in violations)
        logs = [self._done[pod.uid] for pod in pods]
        return Collected(pods=[*logs, *await self._keep_absent(absent)], violations=number)

    async def _keep_records(self, job: JobRecords) -> None:
        """Store a copy of what is remembered of a job."""
        with suppress(AlreadyExists):
            await self._store(job_records(job.submitted.job_id), job)

    async def _violations(self, pods: Sequence[PodRecord]) -> list[PodViolations]:
        violated = {job.submitted.job_id for job in self._jobs if job.finished is None or job.finished.violations}
        asked = [pod for pod in pods if not is_absent(pod) or pod.job in violated]
        now = format_timestamp(await self._cluster.now())
        stated = await violations_of(self._book, self._record.tenant_key, asked)
        found = [_violations(pod.name, stated[pod.uid], now) for pod in asked if pod.uid in stated]
        for pod in found:
            if pod.malformed:
                LOG.warning("Pod %s states violations that are malformed; they are kept as they are", pod.pod)
        return found

    async def _keep_absent(self, absent: Sequence[PodRecord]) -> list[PodLogs]:
        """Account for pods that are not there any more; what they printed may be."""
        known = {pod.name: pod for pod in absent}
        orphans = self._orphans({pod.uid for pod in absent})
        kept = [_of_job(logs, known.get(name)) for name, logs in orphans.items()]
        jobs = {job.submitted.job_id: job.submitted for job in self._jobs}
        found = [pod for pod in absent if pod.name not in orphans]
        for job_id in sorted({pod.job for pod in found}):
            own = [pod for pod in found if pod.job == job_id]
            copies = await self._copies(jobs[job_id]) if job_id else {}
            silent = silent_indexes(jobs[job_id], self._seen.values()) if job_id else ()
            for pod, source in with_copies(own, copies, silent):
                [run] = runs_of(pod)
                log = await self._keeper.keep_absent(run, source, *self._name(run))
                kept.append(structs.replace(_pod_logs(pod, [log]), uid=""))
        return sorted(kept, key=lambda pod: pod.name)

    async def _copies(self, job: SubmittedRecord) -> dict[int, dict[int, str]]:
        shelf = result_shelf(self._record.tenant_key, job.retention)
        listing = self._blobs.list_blobs(shelf.container, shelf.blob(paths.log_prefix(job.job_id)))
        stored = {info.name.removeprefix(shelf.prefix) async for info in listing}
        return unclaimed_copies(job, stored, self._seen.values())

    def _orphans(self, absent: AbstractSet[str]) -> dict[str, PodLogs]:
        """Logs that a killed reaper stored, of pods that went before it could say so anywhere else; by pod."""
        found: dict[str, PodLogs] = {}
        for uid, names in self._by_pod.items():
            logs = [_orphan(name, self._logs[name]) for name in names if name not in self._claimed]
            if logs and uid not in absent:
                pod = self._logs[names[0]].metadata.get("pod", "")
                found[pod] = PodLogs(name=pod, uid=uid, phase="Unknown", containers=logs)
        return found

    async def _put(self, name: str, value: object, kind: type[T]) -> T:
        """Store a JSON blob once, and return what is stored: another's, when that came first."""
        try:
            await self._store(name, value)
        except AlreadyExists:
            return await self._read(name, kind)
        return msgspec.convert(msgspec.to_builtins(value), kind)

    async def _store(self, name: str, value: object) -> None:
        place = self._place
        await self._blobs.write(
            place.container,
            place.blob(name),
            encode(value),
            metadata=about(place, self._record),
            locked_until=locked_until(place, self._record),
        )

    async def _read(self, name: str, kind: type[T]) -> T:
        raw = await read_all(self._blobs, self._place.container, self._place.blob(name))
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Damaged(f"blob {self._place.blob(name)} cannot be read: {error}") from None


def _pod_logs(pod: PodRecord, logs: list[ContainerLog]) -> PodLogs:
    return PodLogs(
        name=pod.name,
        uid=pod.uid,
        phase=pod.phase,
        node=pod.node,
        job_id=pod.labels.get(JOB_LABEL),
        index=pod.index,
        containers=logs,
    )


def _of_job(logs: PodLogs, pod: PodRecord | None) -> PodLogs:
    return structs.replace(logs, job_id=pod.job, index=pod.index) if pod is not None and pod.job else logs


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


def _violations(pod: str, text: str, now: str) -> PodViolations:
    violations, malformed = parse_violations(text)
    return PodViolations(
        pod=pod,
        violations=[
            PodViolation(offset=each.offset, expected=f"0x{each.expected}", actual=f"0x{each.actual}")
            for each in violations
        ],
        timestamp=now,
        malformed=malformed,
    )
