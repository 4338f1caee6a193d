"""Stop the jobs of a namespace before it ends: kill their pods, record them as cancelled, wait until they are dead."""

from contextlib import suppress

from livecalc.cluster.port import Cluster, ClusterJob
from livecalc.domain.errors import NotFound
from livecalc.domain.jobs import JOB_LABEL
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.lifecycle.pauses import pauses
from livecalc.records.book import JobBook
from livecalc.records.collect import Collector
from livecalc.records.model import SubmittedRecord


async def running_jobs(cluster: Cluster, namespace: str) -> list[ClusterJob]:
    """The jobs of a namespace that have not ended."""
    return [job for job in await cluster.list_jobs(namespace) if job.state in {"pending", "running"}]


async def running_pods(cluster: Cluster, namespace: str) -> list[str]:
    """Name the pods of a namespace that are alive, foreign ones too."""
    return [pod.name for pod in await cluster.list_pods(namespace) if pod.alive]


class Canceller:
    """Cancels all jobs of a namespace."""

    def __init__(self, *, cluster: Cluster, book: JobBook, collector: Collector, wait: float) -> None:
        self._cluster = cluster
        self._book = book
        self._collector = collector
        self._wait = wait

    async def cancel_all(self, record: NamespaceRecord) -> list[str]:
        """Cancel what runs and return its job ids; pods that do not die in time are left to the deletion."""
        jobs = await running_jobs(self._cluster, record.name)
        for job in jobs:
            submitted = await self._submitted(record, job.labels.get(JOB_LABEL, job.name))
            if submitted is not None:
                await self._book.ask_to_cancel(record.tenant_key, submitted)
            with suppress(NotFound):
                await self._cluster.cancel_job(record.name, job.name)
            if submitted is not None:
                await self._collector.cancel(record.tenant_key, submitted)
        if jobs:
            await self._until_dead(record.name)
        return [job.name for job in jobs]

    async def _submitted(self, record: NamespaceRecord, job_id: str) -> SubmittedRecord | None:
        try:
            return await self._book.submitted(record.tenant_key, job_id)
        except NotFound:
            return None

    async def _until_dead(self, namespace: str) -> None:
        async for _ in pauses(self._wait):
            pods = await self._cluster.list_pods(namespace)
            if not any(pod.alive and JOB_LABEL in pod.labels for pod in pods):
                return
