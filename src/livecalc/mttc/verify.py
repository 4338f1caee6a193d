"""Recompute a run from blobs alone, in a namespace of its own, and say whether the result is the same.

Needs nothing of the original namespace. The recomputation's namespace is deleted without an archive, its records too.
"""

import secrets
from typing import Any

import anyio
import msgspec

from livecalc.audit.log import AuditLog
from livecalc.bundles.store import BundleStore
from livecalc.cluster.port import Cluster
from livecalc.domain.buckets import RECOMPUTE_PREFIX, is_bucket_id
from livecalc.domain.errors import Conflict, NotFound
from livecalc.domain.jobs import JobState, check_job_id
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.tenants import Principal
from livecalc.domain.timestamps import format_timestamp
from livecalc.jobs.launch import Launcher, LaunchRequest
from livecalc.lifecycle.namespaces import NamespaceManager
from livecalc.mttc.compare import first_difference, read_run
from livecalc.mttc.phases import Stopwatch
from livecalc.records.book import JobBook
from livecalc.records.collect import Collector
from livecalc.records.model import FinishedRecord, RecomputedRecord, SubmittedRecord
from livecalc.wire.mttc import Verified, VerifyRequest

_POLL = 0.02


class Recomputer:
    """Recomputes and compares."""

    def __init__(  # noqa: PLR0913  (each is a part of the platform, named once in bootstrap)
        self,
        *,
        cluster: Cluster,
        namespaces: NamespaceManager,
        bundles: BundleStore,
        book: JobBook,
        collector: Collector,
        launcher: Launcher,
        audit: AuditLog,
        target_seconds: float,
    ) -> None:
        self._cluster = cluster
        self._namespaces = namespaces
        self._bundles = bundles
        self._book = book
        self._collector = collector
        self._launcher = launcher
        self._audit = audit
        self._target = target_seconds

    async def verify(self, principal: Principal, request: VerifyRequest, *, request_id: str) -> Verified:
        """Recompute one run. Raises NotFound (no such run or bundle), Conflict (it has no result), Unavailable."""
        submitted, finished = await self._original(principal, request)
        async with self._audit.operation(
            principal=principal,
            operation="mttc-verify",
            bucket_id=submitted.bucket_id,
            request_id=request_id,
            detail={"job_id": submitted.job_id, "model_bundle_hash": submitted.model_bundle_hash},
            required=False,
        ) as entry:
            verified = await self._recompute(principal, submitted, finished, request_id)
            entry.detail.update(match=verified.match, duration_seconds=verified.duration_seconds)
            record = RecomputedRecord(
                job_id=submitted.job_id,
                at=format_timestamp(await self._cluster.now()),
                match=verified.match,
                duration_seconds=verified.duration_seconds,
                result_hash=verified.resumed_result_hash,
                message=verified.message,
            )
            await self._book.add_recomputation(principal.tenant_key, submitted, record)
        return verified

    async def _original(self, principal: Principal, request: VerifyRequest) -> tuple[SubmittedRecord, FinishedRecord]:
        key = principal.tenant_key
        digest = await self._bundles.resolve(key, request.model_bundle_hash)
        if not is_bucket_id(request.bucket_id):
            candidates: list[SubmittedRecord] = []
        elif request.job_id is not None:
            candidates = [await self._book.submitted(key, check_job_id(request.job_id))]
        else:
            candidates = await self._book.jobs_of(key, request.bucket_id)
        wanted = [
            record
            for record in candidates
            if record.tenant_id == principal.tenant_id
            and record.bucket_id == request.bucket_id
            and record.model_bundle_hash == digest
        ]
        for submitted in reversed(wanted):
            finished = await self._collector.collect(key, submitted)
            if finished is not None and finished.state is JobState.SUCCEEDED:
                return submitted, finished
        if request.job_id is not None and wanted:
            raise Conflict(
                f"job {request.job_id} has no result to compare with: only a succeeded job can be recomputed"
            )
        raise NotFound(f"bucket {request.bucket_id!r} has no succeeded job of bundle {digest[:12]}")

    async def _recompute(
        self, principal: Principal, submitted: SubmittedRecord, finished: FinishedRecord, request_id: str
    ) -> Verified:
        watch = Stopwatch()
        with watch.phase("create namespace"):
            bucket_id = RECOMPUTE_PREFIX + secrets.token_hex(10)
            namespace = await self._namespaces.create_recomputation(principal, bucket_id)
        launched: SubmittedRecord | None = None
        try:
            launched = await self._launch(principal, submitted, namespace, watch)
            resumed = await self._run(principal, launched, watch)
            with watch.phase("compare"):
                verified = await self._compare(principal, (submitted, finished), (launched, resumed), watch)
            seconds = round(watch.total, 3)
        finally:
            # Also when the caller goes away: a recomputation leaves nothing behind.
            with anyio.CancelScope(shield=True), watch.phase("clean up"):
                await self._namespaces.delete_recomputation(namespace, user_id=principal.user_id, request_id=request_id)
                if launched is not None:
                    await self._book.forget_job(principal.tenant_key, launched)
        return _timed(verified, seconds, watch, self._target)

    async def _launch(
        self, principal: Principal, submitted: SubmittedRecord, namespace: NamespaceRecord, watch: Stopwatch
    ) -> SubmittedRecord:
        with watch.phase("load bundle"):
            bundle = await self._bundles.describe(principal.tenant_key, submitted.model_bundle_hash)
        with watch.phase("initialize"):
            request = LaunchRequest(
                tenant_id=principal.tenant_id,
                user_id=principal.user_id,
                model_bundle_hash=submitted.model_bundle_hash,
                bundle_size=bundle.size,
                bundle_shelf=bundle.shelf,
                config=bundle.config,
                partitions=min(len(submitted.partitions), self._cluster.slots),
                deadline_seconds=submitted.deadline_seconds,
                name=f"recomputation of {submitted.job_id}",
            )
            launched = await self._launcher.launch(namespace, request)
            await self._until_running(principal, launched)
        return launched

    async def _until_running(self, principal: Principal, launched: SubmittedRecord) -> None:
        """Wait for a first pod, or for the job's end, whatever it is: also that it is gone."""
        while True:
            jobs = await self._cluster.list_jobs(launched.namespace)
            if any(job.name == launched.job_id and job.state != "pending" for job in jobs):
                return
            if await self._collector.collect(principal.tenant_key, launched) is not None:
                return
            await anyio.sleep(_POLL)

    async def _run(self, principal: Principal, launched: SubmittedRecord, watch: Stopwatch) -> FinishedRecord:
        with watch.phase("execute"):
            while True:
                finished = await self._collector.collect(principal.tenant_key, launched)
                if finished is not None:
                    return finished
                await anyio.sleep(_POLL)

    async def _compare(
        self,
        principal: Principal,
        original: tuple[SubmittedRecord, FinishedRecord],
        resumed: tuple[SubmittedRecord, FinishedRecord],
        watch: Stopwatch,
    ) -> Verified:
        key = principal.tenant_key
        before = await read_run(self._book, key, *original)
        after = await read_run(self._book, key, *resumed)
        difference = None
        # What is left of a damaged result, or of a run that failed, would only seem to differ.
        if not before.damage and resumed[1].state is JobState.SUCCEEDED:
            difference = await first_difference(self._book, key, (before, original[1]), (after, resumed[1]))
        match = original[1].result_hash == resumed[1].result_hash and not before.damage and difference is None
        return Verified(
            success=False,
            original_result_hash=original[1].result_hash or "",
            resumed_result_hash=resumed[1].result_hash,
            match=match,
            duration_seconds=0.0,
            message=_why(resumed[1], before.damage, match=match),
            original_job_id=original[0].job_id,
            target_seconds=self._target,
            phases=watch.phases,
            first_difference=difference,
            environment=_environments(original[1].environment, resumed[1].environment),
        )


def _timed(verified: Verified, seconds: float, watch: Stopwatch, target: float) -> Verified:
    in_time = seconds <= target
    message = verified.message
    if verified.match:
        message = f"MTTC verification passed: {seconds:.2f}s"
        if not in_time:
            message = f"MTTC verification late: the result matches, but took {seconds:.2f}s of {target:g}s"
    return msgspec.structs.replace(
        verified,
        success=verified.match and in_time,
        duration_seconds=seconds,
        message=message,
        phases=watch.phases,
    )


def _why(resumed: FinishedRecord, damage: list[str], *, match: bool) -> str:
    if match:
        return ""
    if resumed.state is not JobState.SUCCEEDED:
        return f"MTTC verification failed: the recomputation {resumed.state} ({resumed.error})"
    if damage:
        return f"MTTC verification failed: the original's stored result is damaged ({damage[0]})"
    return "MTTC verification failed: the recomputation gave another result"


def _environments(original: dict[str, Any], resumed: dict[str, Any]) -> dict[str, Any]:
    keys = sorted(original.keys() | resumed.keys())
    return {
        "original": original,
        "resumed": resumed,
        "differs": [key for key in keys if original.get(key) != resumed.get(key)],
    }
