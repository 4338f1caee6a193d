"""One claimed namespace on its way to being gone, step by step; each step may be done again by whoever continues.

Audit the intent, settle the jobs, archive and prove it, delete, wait until gone, audit the outcome, let go of the name.
"""

import asyncio
import logging
from dataclasses import dataclass

import msgspec

from livecalc.audit.log import AuditLog
from livecalc.blobs.port import BlobStore
from livecalc.cluster.port import Cluster
from livecalc.domain.buckets import is_recompute
from livecalc.domain.claims import write_volumes
from livecalc.domain.errors import Conflict, Damaged, LivecalcError, Reaping, Unavailable
from livecalc.domain.namespaces import FINALIZER, REAP_VOLUMES
from livecalc.domain.receipts import ArchiveReceipt, ArchiveWaiver
from livecalc.domain.retention import Retention
from livecalc.lifecycle.archive.archiver import Archived, Archiver
from livecalc.lifecycle.archive.compose import Told
from livecalc.lifecycle.evaporate import wait_for_content, wait_for_volumes, wait_until_gone
from livecalc.lifecycle.hold import Hold
from livecalc.lifecycle.journal import REAP, WAIVE, Journal
from livecalc.lifecycle.outcome import ReapOutcome, archived_facts
from livecalc.lifecycle.policy import ReaperPolicy
from livecalc.records.book import JobBook
from livecalc.records.collect import Collector
from livecalc.records.model import JobRecords
from livecalc.telemetry.metrics import ARCHIVED_BYTES
from livecalc.telemetry.notices import collected_notices

LOG = logging.getLogger("livecalc.cleanup")
_ROUNDS = 20
"""How often a namespace that changes just before its deletion is looked at again."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What reaping is done with."""

    cluster: Cluster
    blobs: BlobStore
    audit: AuditLog
    book: JobBook
    collector: Collector
    archiver: Archiver
    policy: ReaperPolicy


class Undertaking:
    """The reaping of the namespace that `hold` holds; `continued` when another began it."""

    def __init__(self, parts: Parts, hold: Hold, *, continued: bool) -> None:
        self._parts = parts
        self._hold = hold
        self._archived: Archived | None = None
        self._told = Told(cluster=parts.cluster.name)
        self._waived: str | None = None
        self._required = parts.policy.requires_archive(hold.record)
        self._journal = Journal(
            parts.audit,
            hold.record,
            hold.claim,
            required=self._required,
            since=(hold.claim.started_at or hold.record.created_at) if continued else None,
        )

    async def finish(self) -> ReapOutcome:
        """Do all that is left to do.

        Raises Unavailable and Conflict for what a later sweep can mend, Reaping when another has the claim.
        """
        began = asyncio.get_running_loop().time()
        policy, hold, cluster = self._parts.policy, self._hold, self._parts.cluster
        claim = hold.claim
        await self._journal.intend(REAP, {"reason": claim.reason, "holder": claim.holder, "archive": claim.archive})
        await self._delete(await self._prove())
        blockers = await wait_for_content(cluster, hold, policy.wait)
        if blockers:
            raise Unavailable(
                f"namespace {hold.record.name} is still terminating after {policy.wait:g} s: {'; '.join(blockers)}"
            )
        left = await wait_for_volumes(cluster, hold, policy.wait)
        if is_recompute(hold.record.bucket_id):
            await self._forget_jobs()
        if self._waived is not None:
            await self._store_waiver(self._waived)  # perhaps the store is back
        outcome = self._outcome(left, asyncio.get_running_loop().time() - began)
        await self._conclude(outcome)
        await hold.patch(remove_finalizer=FINALIZER)
        await self._see_it_gone()
        LOG.info("Deleted namespace %s", hold.record.name)
        return outcome

    async def _prove(self) -> ArchiveReceipt | ArchiveWaiver:
        record = self._hold.record
        if is_recompute(record.bucket_id):
            return ArchiveWaiver(namespace_uid=record.uid, reason="a recomputation leaves no archive")
        try:
            return await self._archive()
        except Reaping:
            raise
        except LivecalcError as error:
            await self._see_it_is_ours()
            if self._required:
                raise Unavailable(
                    f"namespace {record.name} is kept, because it could not be archived: {error.detail}"
                ) from error
            return await self._waive(error.detail)

    async def _archive(self) -> ArchiveReceipt | ArchiveWaiver:
        self._told = await self._tell()
        self._archived = await self._parts.archiver.archive(self._hold, self._told, strict=self._required)
        if self._archived.receipt is None:
            if self._required and not self._hold.record.terminating:
                raise Unavailable(f"its archive {self._hold.claim.archive} was waived, and one is required")
            return await self._waive("; ".join(self._archived.manifest.notes) or "it was waived before")
        ARCHIVED_BYTES.add(self._archived.receipt.bytes)
        return self._archived.receipt

    async def _tell(self) -> Told:
        """Settle the jobs, and gather what the manifest says of them and of audit."""
        notes: list[str] = []
        jobs: list[JobRecords] = []
        head: str | None = None
        cluster, version = self._parts.cluster, "unknown"
        try:
            version = await cluster.version()
            await self._refuse_shortened()
            with collected_notices() as left_out:
                jobs = await self._parts.collector.settle(self._hold.record)
            if left_out:
                raise Damaged("; ".join(left_out))
            head = await self._journal.head()
        except Reaping:
            raise
        except LivecalcError as error:
            if self._required:
                raise
            LOG.error("The jobs of namespace %s are not all settled: %s", self._hold.record.name, error.detail)  # noqa: TRY400  (one sentence; where it was raised says nothing more)
            notes.append(f"jobs not settled, or audit not read: {error.detail}")
        return Told(jobs=jobs, audit_head=head, cluster=f"{cluster.name}, {version}", notes=notes)

    async def _refuse_shortened(self) -> None:
        """Keep a namespace whose annotation promises less than its jobs were promised, whatever the policy is."""
        record = self._hold.record
        if record.retention is Retention.REGULATORY:
            return
        promised = await self._parts.book.promised_job(record.tenant_key, record.bucket_id, since=record.created_at)
        if promised is not None:
            self._required = True
            raise Unavailable(
                f"job {promised} was promised regulatory retention, and the annotation `retention` of the "
                f"namespace says {record.retention}: set it back to regulatory"
            )

    async def _waive(self, why: str) -> ArchiveWaiver:
        """Decide to go without a whole archive: say it loud, audit it, and leave a manifest that says so if one can."""
        record = self._hold.record
        LOG.error("Namespace %s is reaped without a complete archive (policy best-effort): %s", record.name, why)
        await self._journal.intend(WAIVE, {"reason": why, "archive": self._hold.claim.archive})
        self._waived = why
        await self._store_waiver(why)
        return ArchiveWaiver(namespace_uid=record.uid, reason=why)

    async def _store_waiver(self, why: str) -> None:
        if self._archived is not None:
            return
        try:
            told = msgspec.structs.replace(self._told, notes=[*self._told.notes, why])
            self._archived = await self._parts.archiver.waive(self._hold, told)
        except LivecalcError as error:
            LOG.warning("The waiver of namespace %s could not be stored: %s", self._hold.record.name, error.detail)

    async def _delete(self, proof: ArchiveReceipt | ArchiveWaiver) -> None:
        hold, cluster = self._hold, self._parts.cluster
        for _ in range(_ROUNDS):
            if hold.gone or hold.record.terminating:
                return
            await self._remember_volumes()
            pods = await cluster.list_pods(hold.record.name)
            unknown = [pod.name for pod in pods if isinstance(proof, ArchiveReceipt) and pod.uid not in proof.pods]
            if unknown:
                proof = await self._archive_again(unknown)
            elif await hold.delete(proof):
                return
        raise Conflict(f"namespace {hold.record.name} changes all the time: it is deleted in a later sweep")

    async def _archive_again(self, unknown: list[str]) -> ArchiveReceipt | ArchiveWaiver:
        LOG.warning(
            "Archiving namespace %s again: %s came after its manifest", self._hold.record.name, ", ".join(unknown)
        )
        self._archived = None
        try:
            await self._parts.archiver.move(self._hold)
            return await self._archive()
        except Reaping:
            raise
        except LivecalcError as error:
            await self._see_it_is_ours()
            if self._required:
                raise
            return await self._waive(error.detail)

    async def _see_it_is_ours(self) -> None:
        """Raise Reaping when another has gone on with the claim, or has finished: we were stopped for too long.

        A namespace that is gone though no outcome is recorded was taken away by hand, and is ours to conclude.
        """
        await self._hold.refresh()
        if self._hold.gone and await self._journal.is_concluded():
            raise Reaping(f"namespace {self._hold.record.name} is gone: another reaper was faster")

    async def _remember_volumes(self) -> None:
        known = self._hold.claim.volumes
        claims = await self._parts.cluster.list_volume_claims(self._hold.record.name)
        bound = {claim.volume for claim in claims if claim.volume}
        if not bound <= set(known):
            await self._hold.patch(annotations={REAP_VOLUMES: write_volumes([*known, *bound])})

    async def _forget_jobs(self) -> None:
        record = self._hold.record
        book = self._parts.book
        for job in await book.jobs_of(record.tenant_key, record.bucket_id):
            await book.forget_job(record.tenant_key, job)
        await book.forget_unopened(record.tenant_key, record.bucket_id)

    def _outcome(self, left: list[str], seconds: float) -> ReapOutcome:
        record = self._hold.record
        message = f"Namespace {record.name} successfully reaped"
        if self._waived is not None:
            message += f", but without a complete archive: {self._waived}"
        if left:
            message = f"Namespace {record.name} is gone, but not all of its volumes: {'; '.join(left)}"
        bare = ReapOutcome(
            namespace=record.name,
            bucket_id=record.bucket_id,
            success=not left,
            message=message,
            left=left,
            seconds=round(seconds, 3),
            state="Waived" if self._waived is not None else None,
        )
        return msgspec.structs.replace(bare, **archived_facts(self._archived))

    async def _conclude(self, outcome: ReapOutcome) -> None:
        await self._see_it_is_ours()
        if self._waived is not None:
            await self._journal.conclude(WAIVE, "ok", {"reason": self._waived})
        detail = {
            "archive": outcome.archive,
            "state": outcome.state,
            "manifest_sha256": outcome.manifest_sha256,
            "volumes_left": outcome.left,
            "seconds": outcome.seconds,
            "finished_by": self._hold.claim.holder,
        }
        if self._waived is not None:
            detail["waived"] = self._waived
        await self._journal.conclude(REAP, "ok" if outcome.success else outcome.message, detail)

    async def _see_it_gone(self) -> None:
        record = self._hold.record
        blockers = await wait_until_gone(self._parts.cluster, record, self._parts.policy.wait)
        if blockers:
            raise Unavailable(f"namespace {record.name} is empty, but not gone: {'; '.join(blockers)}")
