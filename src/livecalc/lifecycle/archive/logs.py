"""Store the log of one run, in constant memory: the worker's own copy where there is one, else what its node has."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Literal

from livecalc.blobs.port import BlobInfo, BlobStore
from livecalc.cluster.port import Cluster
from livecalc.domain.errors import AlreadyExists, Conflict, Damaged, LivecalcError, NotFound, Unavailable
from livecalc.domain.jobs import JOB_LABEL
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.shelves import Shelf, result_shelf
from livecalc.domain.tasks import Statement
from livecalc.lifecycle.archive.manifest import ContainerLog
from livecalc.lifecycle.archive.places import OWNER, Place, about, locked_until
from livecalc.lifecycle.archive.runs import (
    ERROR_TEXT_LIMIT,
    NOTHING_STATES,
    Run,
    is_error_text,
    judge,
    metadata,
    statement_of,
)
from livecalc.lifecycle.streams import closing
from livecalc.records.book import JobBook
from livecalc.records.model import SubmittedRecord

Source = Literal["worker", "node"]
_READS = 3
"""How often a log is begun again when the connection to its node breaks."""


class LogKeeper:
    """Stores the logs of one namespace under one archive."""

    def __init__(  # noqa: PLR0913  (two ports, the records, and which archive)
        self,
        *,
        cluster: Cluster,
        blobs: BlobStore,
        book: JobBook,
        place: Place,
        record: NamespaceRecord,
        jobs: Mapping[str, SubmittedRecord],
        strict: bool,
    ) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._book = book
        self._place = place
        self._record = record
        self._tenant_key = record.tenant_key
        self._jobs = jobs
        self._strict = strict

    async def keep(self, run: Run, name: str, stored: BlobInfo | None) -> ContainerLog:
        """Store a run's log under `name`, unless `stored` is it already, and say what it is worth.

        A log that its node does not have any more is `lost`; so is one whose node does not answer, unless `strict`.
        Raises Unavailable (the store, or strict), Conflict (the name is another's).
        """
        if run.gone:
            return _entry(run, state="lost", note=run.note)
        if not run.started:
            return _entry(run, state="complete", note=run.note)
        statement = statement_of(run)
        found = stored or await self._copy(run, name, statement) or await self._fetch(run, name, statement)
        if isinstance(found, str):
            return _entry(run, state="lost", note="; ".join(filter(None, [found, run.note])))
        return judged(run, name, found, statement)

    async def keep_absent(self, run: Run, source: str, name: str, stored: BlobInfo | None) -> ContainerLog:
        """Store the log of a worker whose pod is not there any more, from the copy `source` that it has stored.

        Without one it is `lost`. Raises Unavailable, Conflict (the name is another's).
        """
        found, why = stored, ""
        if found is None and source:
            try:
                found = await self._write(run, name, self._blobs.read(*self._shelved(run, source)), "worker")
            except NotFound:
                pass
            except Damaged as error:
                why = error.detail
        if found is None:
            return _entry(run, state="lost", note="; ".join(filter(None, [run.pod.message, why])))
        return _entry(run, state="unknown", note=f"{run.pod.message}; {NOTHING_STATES}", name=name, stored=found)

    def _shelved(self, run: Run, source: str) -> tuple[str, str]:
        job = self._jobs.get(run.pod.job)
        shelf = result_shelf(self._tenant_key, job.retention if job else self._record.retention)
        return shelf.container, shelf.blob(source)

    async def _copy(self, run: Run, name: str, statement: Statement | None) -> BlobInfo | None:
        if statement is None or statement.log_sha256 is None:
            return None
        for shelf, source in await self._places_of_copies(run, statement.log_attempt):
            with suppress(NotFound, Damaged):
                known = await self._blobs.stat(shelf.container, source)
                if known.size == statement.log_bytes and known.sha256 in {"", statement.log_sha256}:
                    body = self._blobs.read(shelf.container, source)
                    return await self._write(run, name, body, "worker", sha256=statement.log_sha256)
        return None

    async def _places_of_copies(self, run: Run, attempt: int | None) -> list[tuple[Shelf, str]]:
        """Where the copy is that a worker states; one that states none may have stored it without an answer."""
        job_id = run.pod.labels[JOB_LABEL]
        try:
            submitted = self._jobs.get(job_id) or await self._book.submitted(self._tenant_key, job_id)
        except (NotFound, Damaged):
            return []
        plan = next((plan for plan in submitted.partitions if plan.index == run.pod.index), None)
        if submitted.namespace != run.pod.namespace or plan is None:
            return []
        shelf = result_shelf(self._tenant_key, submitted.retention)
        return [(shelf, shelf.blob(log)) for number, log in enumerate(plan.logs) if attempt in {None, number}]

    async def _fetch(self, run: Run, name: str, statement: Statement | None) -> BlobInfo | str:
        why = ""
        for _ in range(_READS):
            log = _NodeLog(self._cluster, run, statement)
            try:
                return await self._write(run, name, log.chunks(), "node")
            except NotFound as error:
                return error.detail
            except Unavailable as error:
                if log.broken is None:
                    raise
                why = error.detail
        if self._strict and run.pod.phase != "Unknown" and run.pod.reason != "NodeLost":
            raise Unavailable(f"the log of pod {run.pod.name} could not be read: {why}")
        return f"its node does not answer: {why}"

    async def _write(
        self, run: Run, name: str, body: AsyncIterator[bytes], source: Source, *, sha256: str | None = None
    ) -> BlobInfo:
        blob = self._place.blob(name)
        described = {**metadata(run), "source": source, "running": str(int(run.running))}
        described |= about(self._place, self._record)
        try:
            async with closing(body) as stream:
                return await self._blobs.write(
                    self._place.container,
                    blob,
                    stream,
                    metadata=described,
                    locked_until=locked_until(self._place, self._record),
                    sha256=sha256,
                )
        except AlreadyExists:
            stored = await self._blobs.stat(self._place.container, blob)
            if stored.metadata.get(OWNER) == self._record.uid and run.is_run_of(stored):
                return stored
            raise Conflict(f"blob {blob} is of another namespace or pod: the archive needs another path") from None


def judged(run: Run, name: str, stored: BlobInfo, statement: Statement | None) -> ContainerLog:
    """Describe a stored log of a run."""
    while_running = stored.metadata.get("running") == "1"
    state, why = judge(stored, statement, while_running=while_running, of_worker=run.of_worker)
    return _entry(run, state=state, note="; ".join(filter(None, [why, run.note])), name=name, stored=stored)


def _entry(
    run: Run,
    *,
    state: Literal["complete", "truncated", "unknown", "lost"],
    note: str,
    name: str | None = None,
    stored: BlobInfo | None = None,
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


class _NodeLog:
    """A log as its node sends it; its beginning is held back until it is certain that it is one."""

    def __init__(self, cluster: Cluster, run: Run, statement: Statement | None) -> None:
        self._cluster = cluster
        self._run = run
        self._statement = statement
        self.broken: LivecalcError | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        pod, container = self._run.pod, self._run.container.name
        head: bytes | None = b""
        reading = self._cluster.read_log(pod.namespace, pod.name, container, previous=self._run.previous)
        async with closing(reading) as stream:
            while (chunk := await self._next(stream)) is not None:
                if head is None:
                    yield chunk
                    continue
                head += chunk
                if len(head) > ERROR_TEXT_LIMIT:
                    yield head
                    head = None
        if head is not None:
            if is_error_text(head, self._statement):
                raise NotFound(f"its node answered {head.decode(errors='replace').strip()[:200]!r} instead of a log")
            yield head

    async def _next(self, stream: AsyncIterator[bytes]) -> bytes | None:
        try:
            return await anext(stream, None)
        except Unavailable as error:
            self.broken = error
            raise
