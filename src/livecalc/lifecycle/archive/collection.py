"""Bring everything of a namespace but the manifest into the folder of its archive, each blob once."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec
from msgspec import Struct, structs

from livecalc.blobs.port import BlobInfo, BlobStore, read_all
from livecalc.blobs.stored import decode_stored
from livecalc.cluster.port import Cluster, EventRecord, PodRecord
from livecalc.domain.errors import AlreadyExists, Conflict, Damaged, NotFound
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.shelves import result_shelf
from livecalc.domain.timestamps import format_timestamp
from livecalc.domain.violations import parse_violations
from livecalc.lifecycle.archive.absent import absent_pods, is_absent, is_absent_uid
from livecalc.lifecycle.archive.copies import Kept, silent_indexes, unclaimed_copies, with_copies
from livecalc.lifecycle.archive.earlier import Earlier
from livecalc.lifecycle.archive.logs import LogKeeper
from livecalc.lifecycle.archive.manifest import ContainerLog, PodLogs, PodViolation, PodViolations, encode
from livecalc.lifecycle.archive.places import EVENTS, PODS, VIOLATIONS, Place, about, job_records, locked_until
from livecalc.lifecycle.archive.receipt import digest_of
from livecalc.lifecycle.archive.runs import Run, runs_of
from livecalc.lifecycle.archive.stored import StoredLogs, pod_logs, without_made_uid
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
        earlier: Earlier,
    ) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._book = book
        self._keeper = keeper
        self._place = place
        self._record = record
        self._jobs = jobs
        self._logs = StoredLogs(stored)
        self._earlier = earlier
        self._has_pods = PODS in stored
        self._seen: dict[str, PodRecord] = {}
        """Every pod that was ever there, as it was seen last."""
        self._listed: set[str] = set()
        """The uids of those that are there now."""
        self._done: dict[str, PodLogs] = {}
        self._kept: list[Kept] = []

    async def collect(self, *, at_once: int) -> Collected | None:
        """Store logs, pods, violations and events; None when what is stored already came too early for a pod.

        Raises Unavailable, Damaged, Conflict (pods keep coming, or a name is another's).
        """
        self._seen |= await self._earlier.pods()
        if self._has_pods:
            self._see(await self._read(PODS, list[PodRecord]))
        slots = asyncio.Semaphore(at_once)
        for _ in range(_ROUNDS):
            listed = await self._cluster.list_pods(self._record.name)
            self._listed = {pod.uid for pod in listed}
            self._see(listed)
            fresh = [pod for uid, pod in self._seen.items() if uid not in self._done]
            if fresh:
                planned = [(pod, [(run, self._logs.find(run)) for run in runs_of(pod)]) for pod in fresh]
                for done in await map_bounded(lambda one: self._keep_pod(*one, slots), planned, at_once=len(planned)):
                    self._done[done.uid] = done
                continue
            told = {pod.uid: pod for pod in await self._put(PODS, self._pods(), list[PodRecord])}
            if not self._seen.keys() <= told.keys():
                return None
            if self._seen.keys() == told.keys():
                return await self._finish()
            self._seen = told | self._seen  # another has seen pods that were gone before we looked
        raise Conflict(f"namespace {self._record.name} keeps getting new pods while it is archived")

    def _see(self, pods: Sequence[PodRecord]) -> None:
        self._seen.update({pod.uid: pod for pod in pods})

    def _pods(self) -> list[PodRecord]:
        return sorted(self._seen.values(), key=lambda pod: (pod.name, pod.uid))

    async def _keep_pod(
        self, pod: PodRecord, runs: list[tuple[Run, tuple[str, BlobInfo | None]]], slots: asyncio.Semaphore
    ) -> PodLogs:
        logs: list[ContainerLog] = []
        for run, (name, stored) in runs:
            async with slots:
                logs.append(await self._keeper.keep(run, name, stored, there=pod.uid in self._listed))
            self._kept.append((run, logs[-1]))
        LOG.info("Archived logs for pod %s", pod.name)
        return pod_logs(pod, logs)

    async def _finish(self) -> Collected:
        pods = self._pods()
        events = await self._put(EVENTS, await self._cluster.list_events(self._record.name), list[EventRecord])
        own = [job.submitted for job in self._jobs if job.submitted.namespace_uid in {"", self._record.uid}]
        absent = absent_pods(self._record.name, pods, events, own)
        await map_bounded(self._keep_records, self._jobs, at_once=_AT_ONCE)
        violations = await self._put(VIOLATIONS, await self._violations([*pods, *absent]), list[PodViolations])
        number = sum(len(pod.violations) + len(pod.malformed) for pod in violations)
        logs = [self._done[pod.uid] for pod in pods]
        return Collected(pods=[*logs, *await self._keep_absent(absent, own)], violations=number)

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

    async def _keep_absent(self, absent: Sequence[PodRecord], jobs: Sequence[SubmittedRecord]) -> list[PodLogs]:
        """Account for pods that are not there any more; what they printed may be."""
        by_name = {pod.name: pod for pod in absent}
        orphans = [_of_job(logs, by_name) for logs in self._logs.orphans() if not is_absent_uid(logs.uid)]
        known = {logs.name for logs in orphans}
        gone = [pod for pod in absent if pod.name not in known]
        given = [(pod, "") for pod in gone if not pod.job]
        found = await map_bounded(lambda job: self._unclaimed(job, orphans), jobs, at_once=_AT_ONCE)
        for job, copies in zip(jobs, found, strict=True):
            own = [pod for pod in gone if pod.job == job.job_id]
            given += with_copies(job, own, copies, silent_indexes(job, self._kept))
        kept = [*orphans]
        for pod, source in given:
            [run] = runs_of(pod)
            log = await self._keeper.keep_absent(run, source, *self._logs.find(run))
            kept.append(pod_logs(pod, [log]))
        kept += [logs for logs in self._logs.orphans() if is_absent_uid(logs.uid)]
        return sorted(map(without_made_uid, kept), key=lambda pod: pod.name)

    async def _unclaimed(self, job: SubmittedRecord, orphans: Sequence[PodLogs]) -> dict[int, dict[int, str]]:
        """Find the logs that a job's workers stored, that no pod states, and whose bytes the archive does not have."""
        shelf = result_shelf(self._record.tenant_key, job.retention)
        listing = self._blobs.list_blobs(shelf.container, shelf.blob(paths.log_prefix(job.job_id)))
        stored = {info.name.removeprefix(shelf.prefix): info async for info in listing}
        found = unclaimed_copies(job, stored, self._kept)
        archived = [*self._done.values(), *orphans]
        for index, copies in found.items():
            own = [pod for pod in archived if pod.job_id in {job.job_id, None} and pod.index in {index, None}]
            there = [(log.bytes, log.sha256) for pod in own for log in pod.containers if log.blob]
            sizes = Counter([size for size, _ in there] + [stored[name].size for name in copies.values()])
            for attempt, name in [*copies.items()]:
                if sizes[stored[name].size] > 1:
                    content = stored[name].size, await self._digest(shelf.container, stored[name])
                    if content in there and content[1]:
                        del copies[attempt]
                    there.append(content)
        return found

    async def _digest(self, container: str, info: BlobInfo) -> str | None:
        """The digest of a stored log; None when it cannot be read."""
        try:
            return info.sha256 or await digest_of(self._blobs, container, info.name)
        except (NotFound, Damaged):
            return None

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
        return decode_stored(raw, kind, f"blob {self._place.blob(name)}")


def _of_job(logs: PodLogs, absent: Mapping[str, PodRecord]) -> PodLogs:
    pod = absent.get(logs.name)
    return structs.replace(logs, job_id=pod.job, index=pod.index) if pod is not None and pod.job else logs


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
