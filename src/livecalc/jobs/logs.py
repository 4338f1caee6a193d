"""What a job's workers print or printed: from its pods while they live, from the archive after."""

from collections.abc import AsyncGenerator, AsyncIterator

import anyio

from livecalc.blobs.port import BlobStore
from livecalc.blobs.streams import closing
from livecalc.cluster.port import Cluster, PodRecord
from livecalc.domain.errors import Damaged, NotFound
from livecalc.domain.shelves import result_shelf
from livecalc.domain.tasks import read_statement
from livecalc.domain.tenants import Principal
from livecalc.jobs.interleave import Log, interleave
from livecalc.lifecycle.diagnostics.reader import Diagnostics
from livecalc.records.collect import Collector
from livecalc.records.model import SubmittedRecord
from livecalc.telemetry.notices import notice

_POLL = 0.1


class JobLogs:
    """Reads logs. Of several pods each is headed by a line `==> pod <==`; followed, each line begins with `[pod] `."""

    def __init__(self, cluster: Cluster, blobs: BlobStore, collector: Collector, diagnostics: Diagnostics) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._collector = collector
        self._diagnostics = diagnostics

    async def read(
        self, principal: Principal, submitted: SubmittedRecord, *, follow: bool
    ) -> AsyncGenerator[bytes, None]:
        """Stream all logs of a job, one pod after the other, oldest attempt first.

        `follow` goes on until the job has ended, with all pods at once. Raises NotFound when neither pods nor an
        archive have any.
        """
        seen: set[str] = set()
        heads = len(submitted.partitions) > 1
        logs = self._of_pods(principal, submitted, seen, follow=follow)
        async with closing(interleave(logs) if follow and heads else _one_by_one(logs, heads=heads)) as chunks:
            async for chunk in chunks:
                yield chunk
        if not seen:
            async for chunk in self._archived(principal, submitted, heads=heads):
                yield chunk

    async def _of_pods(
        self, principal: Principal, submitted: SubmittedRecord, seen: set[str], *, follow: bool
    ) -> AsyncGenerator[Log, None]:
        """The logs of pods in order, noted as seen; when they are followed, also of those that come before the end."""
        while True:
            view = await self._collector.observe(submitted)
            fresh = [pod for pod in _in_order(view.pods) if pod.uid not in seen and _has_log(pod, follow=follow)]
            for pod in fresh:
                seen.add(pod.uid)
                yield pod.name, self._of_pod(principal, submitted, pod, follow=follow)
            if fresh:
                continue
            if not follow or await self._collector.collect(principal.tenant_key, submitted) is not None:
                return
            await anyio.sleep(_POLL)

    async def _of_pod(
        self, principal: Principal, submitted: SubmittedRecord, pod: PodRecord, *, follow: bool
    ) -> AsyncGenerator[bytes, None]:
        """The worker's own copy once it has ended, which is whole; else what the node still has, the newest part."""
        stored = _stored_copy(submitted, pod)
        try:
            if stored is not None:
                shelf = result_shelf(principal.tenant_key, submitted.retention)
                log = self._blobs.read(shelf.container, shelf.blob(stored))
            else:
                log = self._cluster.read_log(pod.namespace, pod.name, follow=follow)
            async with closing(log):
                async for chunk in log:
                    yield chunk
        except NotFound:
            return

    async def _archived(
        self, principal: Principal, submitted: SubmittedRecord, *, heads: bool
    ) -> AsyncGenerator[bytes, None]:
        logs = await self._diagnostics.logs_of_job(principal, submitted.bucket_id, submitted.job_id)
        if not logs:
            raise NotFound(f"job {submitted.job_id} has no log yet, and no archive has one")
        # All are looked at before the first byte: later an error could only break the answer off.
        for pod, path in [log for log in logs if await self._is_whole(principal, *log)]:
            async for chunk in _headed(pod, self._of_blob(principal, path), heads=heads):
                yield chunk

    async def _is_whole(self, principal: Principal, pod: str, path: str) -> bool:
        try:
            await self._diagnostics.stat_blob(principal, path)
        except (NotFound, Damaged) as error:
            notice(f"the log of pod {pod} is left out: {error.detail}")
            return False
        return True

    async def _of_blob(self, principal: Principal, path: str) -> AsyncGenerator[bytes, None]:
        async with closing(self._diagnostics.read_blob(principal, path)) as chunks:
            async for chunk in chunks:
                yield chunk


def _stored_copy(submitted: SubmittedRecord, pod: PodRecord) -> str | None:
    ends = [container.terminated for container in pod.containers if container.terminated is not None]
    statement = read_statement(ends[0].message) if len(ends) == 1 else None
    plan = next((plan for plan in submitted.partitions if plan.index == pod.index), None)
    if statement is None or statement.log_attempt is None or plan is None:
        return None
    return plan.logs[statement.log_attempt] if 0 <= statement.log_attempt < len(plan.logs) else None


def _in_order(pods: tuple[PodRecord, ...]) -> list[PodRecord]:
    return sorted(pods, key=lambda pod: (pod.index or 0, pod.created_at, pod.name))


def _has_log(pod: PodRecord, *, follow: bool) -> bool:
    return pod.phase != "Pending" or (follow and pod.deletion_timestamp is None and bool(pod.containers))


async def _one_by_one(logs: AsyncGenerator[Log, None], *, heads: bool) -> AsyncGenerator[bytes, None]:
    async with closing(logs):
        async for name, log in logs:
            async with closing(_headed(name, log, heads=heads)) as chunks:
                async for chunk in chunks:
                    yield chunk


async def _headed(name: str, chunks: AsyncIterator[bytes], *, heads: bool) -> AsyncGenerator[bytes, None]:
    if heads:
        yield f"==> {name} <==\n".encode()
    last = b"\n"
    async with closing(chunks) as stream:
        async for chunk in stream:
            last = chunk[-1:] or last
            yield chunk
    if heads and last != b"\n":
        yield b"\n"
