"""Bring everything of a namespace but the manifest into the folder of its archive, each blob once."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from livecalc.blobs.port import BlobInfo, BlobStore, read_all
from livecalc.cluster.port import Cluster, PodRecord
from livecalc.domain.errors import AlreadyExists, Conflict, Damaged
from livecalc.domain.jobs import JOB_LABEL
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.timestamps import format_timestamp
from livecalc.domain.violations import parse_violations
from livecalc.lifecycle.bounded import map_bounded
from livecalc.lifecycle.logs import LogKeeper
from livecalc.lifecycle.manifest import ContainerLog, PodLogs, PodViolation, PodViolations, encode
from livecalc.lifecycle.places import EVENTS, LOGS, OWNER, PODS, VIOLATIONS, Place
from livecalc.lifecycle.runs import Run, log_name, runs_of
from livecalc.lifecycle.violations import violations_of
from livecalc.records.book import JobBook

T = TypeVar("T")
LOG = logging.getLogger("livecalc.cleanup")
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
        stored: dict[str, BlobInfo],
    ) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._book = book
        self._keeper = keeper
        self._place = place
        self._record = record
        self._logs = {name: info for name, info in stored.items() if name.startswith(LOGS)}
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
        for name, info in self._logs.items():
            if run.is_run_of(info):
                self._claimed.add(name)
                return name, info
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
        return PodLogs(
            name=pod.name,
            uid=pod.uid,
            phase=pod.phase,
            node=pod.node,
            job_id=pod.labels.get(JOB_LABEL),
            index=pod.index,
            containers=logs,
        )

    async def _finish(self) -> Collected | None:
        pods = sorted(self._seen.values(), key=lambda pod: (pod.name, pod.uid))
        told = await self._put(PODS, pods, list[PodRecord])
        if not self._seen.keys() <= {pod.uid for pod in told}:
            return None
        now = format_timestamp(await self._cluster.now())
        stated = await violations_of(self._book, self._record.tenant_key, pods)
        found = [_violations(pod.name, stated[pod.uid], now) for pod in pods if pod.uid in stated]
        violations = await self._put(VIOLATIONS, found, list[PodViolations])
        events = await self._cluster.list_events(self._record.name)
        await self._put(EVENTS, events, object)
        number = sum(len(pod.violations) + len(pod.malformed) for pod in violations)
        LOG.info("Indexed %d sentinel violations", number)
        logs = [self._done[pod.uid] for pod in pods]
        return Collected(pods=[*logs, *self._orphans()], violations=number)

    def _orphans(self) -> list[PodLogs]:
        """Logs that a killed reaper stored, of pods that went before it could say so anywhere else."""
        found: list[PodLogs] = []
        for name, info in self._logs.items():
            if name in self._claimed:
                continue
            about = info.metadata
            log = ContainerLog(
                name=about.get("container", ""),
                kind=about.get("kind", ""),
                previous=about.get("previous") == "1",
                state="unknown",
                blob=name,
                bytes=info.size,
                sha256=info.sha256,
                source="worker" if about.get("source") == "worker" else "node",
                note="its pod was gone when the archive was continued",
            )
            found.append(
                PodLogs(name=about.get("pod", ""), uid=about.get("pod_uid", ""), phase="Unknown", containers=[log])
            )
        return found

    async def _put(self, name: str, value: object, kind: type[T]) -> T:
        """Store a JSON blob once, and return what is stored: another's, when that came first."""
        about = {OWNER: self._record.uid}
        try:
            await self._blobs.write(self._place.container, self._place.blob(name), encode(value), metadata=about)
        except AlreadyExists:
            return await self._read(name, kind)
        return msgspec.convert(msgspec.to_builtins(value), kind)

    async def _read(self, name: str, kind: type[T]) -> T:
        raw = await read_all(self._blobs, self._place.container, self._place.blob(name))
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.DecodeError as error:
            raise Damaged(f"blob {self._place.blob(name)} cannot be read: {error}") from None


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
