"""Store the log of one run, in constant memory: the worker's own copy where there is one, else what its node has."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Literal

from livecalc.blobs.port import BlobInfo, BlobStore
from livecalc.blobs.streams import closing
from livecalc.cluster.port import Cluster
from livecalc.domain.errors import AlreadyExists, Conflict, Damaged, LivecalcError, NotFound, Unavailable
from livecalc.domain.jobs import JOB_LABEL
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.shelves import Shelf, result_shelf
from livecalc.domain.tasks import Statement
from livecalc.lifecycle.archive.accounts import judged, lost, of_absent, too_large, without_log
from livecalc.lifecycle.archive.earlier import Earlier
from livecalc.lifecycle.archive.manifest import ContainerLog
from livecalc.lifecycle.archive.places import OWNER, Place, about, locked_until
from livecalc.lifecycle.archive.receipt import digest_of
from livecalc.lifecycle.archive.runs import (
    ERROR_TEXT_LIMIT,
    Run,
    is_error_text,
    metadata,
    statement_of,
)
from livecalc.records.book import JobBook
from livecalc.records.model import SubmittedRecord

Source = Literal["worker", "node"]
_NOT_THERE = "its pod is not there any more"
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
        earlier: Earlier,
    ) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._book = book
        self._place = place
        self._record = record
        self._tenant_key = record.tenant_key
        self._jobs = jobs
        self._strict = strict
        self._earlier = earlier

    async def keep(self, run: Run, name: str, stored: BlobInfo | None, *, there: bool) -> ContainerLog:
        """Store a run's log under `name`, unless `stored` is it already, and say what it is worth.

        A node tells logs by the names of pods: it is asked only for one that is `there`, listed by its uid just before.
        A log that its node does not have any more is `lost`; so is one whose node does not answer, unless `strict`.
        Raises Unavailable (the store, or strict), Conflict (the name is another's).
        """
        without = without_log(run)
        if without is not None:
            return without
        statement = statement_of(run)
        refused = await self._refused(run, statement)
        found = stored or (None if refused else await self._copy(run, name, statement, there=there))
        found = found or await self._again(run, name, running=False)
        found = found or (await self._fetch(run, name, statement) if there else _NOT_THERE)
        if isinstance(found, str):
            again = await self._again(run, name, running=True)
            if again is None:
                return lost(run, found)
            found = again
        return judged(run, name, found, statement, refused)

    async def keep_absent(self, run: Run, source: str, name: str, stored: BlobInfo | None) -> ContainerLog:
        """Store the log of a worker whose pod is not there any more, from the copy `source` that it has stored.

        Without one it is `lost`. Raises Unavailable, Conflict (the name is another's).
        """
        found, why = stored, ""
        if found is None and source:
            container, blob = self._shelved(run, source)
            try:
                why = too_large((await self._blobs.stat(container, blob)).size, self._jobs.get(run.pod.job))
                if not why:
                    found = await self._write(run, name, self._blobs.read(container, blob), "worker")
            except NotFound:
                pass
            except Damaged as error:
                why = error.detail
        return of_absent(run, name, found, why)

    def _shelved(self, run: Run, source: str) -> tuple[str, str]:
        job = self._jobs.get(run.pod.job)
        shelf = result_shelf(self._tenant_key, job.retention if job else self._record.retention)
        return shelf.container, shelf.blob(source)

    async def _refused(self, run: Run, statement: Statement | None) -> str:
        """Say why a copy is not taken that a worker states; empty when it may be. An Azure grant has no limit."""
        if statement is None or not statement.log_bytes:
            return ""
        return too_large(statement.log_bytes, await self._job(run))

    async def _job(self, run: Run) -> SubmittedRecord | None:
        job_id = run.pod.labels[JOB_LABEL]
        try:
            return self._jobs.get(job_id) or await self._book.submitted(self._tenant_key, job_id)
        except (NotFound, Damaged):
            return None

    async def _copy(self, run: Run, name: str, statement: Statement | None, *, there: bool) -> BlobInfo | None:
        if statement is None:
            return await self._unstated(run, name) if there else None
        if statement.log_sha256 is None:
            return None
        for shelf, source in await self._places_of_copies(run, statement.log_attempt):
            with suppress(NotFound, Damaged):
                known = await self._blobs.stat(shelf.container, source)
                if known.size == statement.log_bytes and known.sha256 in {"", statement.log_sha256}:
                    body = self._blobs.read(shelf.container, source)
                    return await self._write(run, name, body, "worker", sha256=statement.log_sha256)
        return None

    async def _unstated(self, run: Run, name: str) -> BlobInfo | None:
        """Take the copy of a worker that was gone before it could state it: one that ends as its node's log does."""
        if not run.of_worker or run.running:
            return None
        copies = await self._copies_of(run)
        size, sha256 = await self._measure(run) if copies else (0, "")
        for shelf, known in copies:
            at = known.size - size
            with suppress(NotFound, Damaged):
                if size and at >= 0 and sha256 == await digest_of(self._blobs, shelf.container, known.name, offset=at):
                    return await self._write(run, name, self._blobs.read(shelf.container, known.name), "worker")
        return None

    async def _copies_of(self, run: Run) -> list[tuple[Shelf, BlobInfo]]:
        found: list[tuple[Shelf, BlobInfo]] = []
        for shelf, source in await self._places_of_copies(run, None):
            with suppress(NotFound, Damaged):
                found.append((shelf, await self._blobs.stat(shelf.container, source)))
        job = await self._job(run)
        return [(shelf, known) for shelf, known in found if not too_large(known.size, job)]

    async def _measure(self, run: Run) -> tuple[int, str]:
        """Size and digest of what a run's node has of its log; size 0 when it does not answer."""
        size, digest = 0, hashlib.sha256()
        try:
            async with closing(_NodeLog(self._cluster, run, None).chunks()) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    digest.update(chunk)
        except (NotFound, Unavailable):
            size = 0
        return size, digest.hexdigest()

    async def _places_of_copies(self, run: Run, attempt: int | None) -> list[tuple[Shelf, str]]:
        """Where the copy is that a worker states; one that states none may have stored it without an answer."""
        submitted = await self._job(run)
        if submitted is None:
            return []
        plan = next((plan for plan in submitted.partitions if plan.index == run.pod.index), None)
        if submitted.namespace != run.pod.namespace or plan is None:
            return []
        shelf = result_shelf(self._tenant_key, submitted.retention)
        return [(shelf, shelf.blob(log)) for number, log in enumerate(plan.logs) if attempt in {None, number}]

    async def _again(self, run: Run, name: str, *, running: bool) -> BlobInfo | None:
        """Take what this reaping has stored of a log under an earlier path, of a run that was `running` then or not."""
        info = self._earlier.log(run)
        if info is None or running != (info.metadata.get("running") == "1"):
            return None
        source = "worker" if info.metadata.get("source") == "worker" else "node"
        with suppress(NotFound, Damaged):
            body = self._blobs.read(self._place.container, info.name)
            return await self._write(run, name, body, source, sha256=info.sha256, running=running)
        return None

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

    async def _write(  # noqa: PLR0913  (a blob, and what is said of it)
        self,
        run: Run,
        name: str,
        body: AsyncIterator[bytes],
        source: Source,
        *,
        sha256: str | None = None,
        running: bool | None = None,
    ) -> BlobInfo:
        blob = self._place.blob(name)
        running = run.running if running is None else running
        described = {**metadata(run), "source": source, "running": str(int(running))}
        described |= about(self._place, self._record)
        try:
            return await self._blobs.write(
                self._place.container,
                blob,
                body,
                metadata=described,
                locked_until=locked_until(self._place, self._record),
                sha256=sha256,
            )
        except AlreadyExists:
            stored = await self._blobs.stat(self._place.container, blob)
            if stored.metadata.get(OWNER) == self._record.uid and run.is_run_of(stored):
                return stored
            raise Conflict(f"blob {blob} is of another namespace or pod: the archive needs another path") from None


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
