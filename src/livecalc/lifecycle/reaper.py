"""The reaper: plans sweeps and carries them out. What is eligible is `plan`'s, what reaping means is `reaping`'s."""

import asyncio
import logging
import os
import secrets
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import msgspec

from livecalc.audit.log import AuditLog
from livecalc.blobs.port import BlobStore
from livecalc.cluster.port import Cluster
from livecalc.domain.claims import read_claim
from livecalc.domain.errors import Conflict, LivecalcError, NotFound, PreconditionFailed, Reaping, Unavailable
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.tenants import CLEANUP_USER
from livecalc.lifecycle.activity import stamp
from livecalc.lifecycle.archive.archiver import Archiver
from livecalc.lifecycle.cancel import Canceller
from livecalc.lifecycle.claims import Claims, held_by
from livecalc.lifecycle.hold import Hold
from livecalc.lifecycle.observe import observe, observe_one
from livecalc.lifecycle.outcome import ReapOutcome, SweepReport
from livecalc.lifecycle.plan import Decision, Entry, Keep, Reap, Resume, Stamp, SweepPlan, plan_sweep
from livecalc.lifecycle.policy import ReaperPolicy
from livecalc.lifecycle.reaping import Parts, Undertaking
from livecalc.records.book import JobBook
from livecalc.records.collect import Collector
from livecalc.telemetry.metrics import REAPS

__all__ = ["Reaper", "ReaperPolicy"]
LOG = logging.getLogger("livecalc.cleanup")
_TRIES = 20
"""How often a namespace that changed since it was planned is decided on again."""


class Reaper:
    """One reaper process. `holder` names it in claims and must be another one at each start."""

    def __init__(  # noqa: PLR0913  (each is a part of the platform, named once in bootstrap)
        self,
        *,
        cluster: Cluster,
        blobs: BlobStore,
        audit: AuditLog,
        book: JobBook,
        collector: Collector,
        policy: ReaperPolicy,
        now: Callable[[], datetime],
        holder: str | None = None,
    ) -> None:
        self._cluster = cluster
        self.policy = policy
        self._now = now
        self.holder = holder or f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"
        self._claims = Claims(cluster, holder=self.holder, timeout=policy.claim_timeout)
        self._working: set[str] = set()
        self._slots = asyncio.Semaphore(policy.concurrency)
        self._canceller = Canceller(cluster=cluster, book=book, collector=collector, wait=policy.wait)
        archiver = Archiver(
            cluster=cluster, blobs=blobs, book=book, prefix=policy.diagnostics, logs_at_once=policy.logs_at_once
        )
        self._parts = Parts(
            cluster=cluster,
            blobs=blobs,
            audit=audit,
            book=book,
            collector=collector,
            archiver=archiver,
            policy=policy,
        )

    async def plan(self, *, every_pod: bool = False) -> SweepPlan:
        """Look at all namespaces and decide; `every_pod` counts the pods of all, for people to read.

        Raises Unavailable when the cluster cannot be asked at all.
        """
        seen = await observe(self._cluster, self.policy.sweep, self._now, every_pod=every_pod)
        plan = plan_sweep(seen.namespaces, seen.now, self.policy.sweep, skew=seen.skew, complete=seen.complete)
        return msgspec.structs.replace(plan, problems=(*plan.problems, *seen.problems))

    async def sweep(self) -> SweepReport:
        """Plan and execute once, logging as the cleanup worker does. Raises as `plan`."""
        LOG.info("Starting cleanup worker")
        plan = await self.plan()
        for problem in plan.problems:
            LOG.error("%s", problem)
        for notice in plan.notices:
            LOG.warning("%s", notice)
        LOG.info("Found %d namespaces eligible for cleanup", len(plan.eligible))
        report = await self.execute(plan)
        LOG.info("Cleanup worker finished: %d successful, %d failed", report.successful, report.failed)
        return report

    async def execute(self, plan: SweepPlan) -> SweepReport:
        """Do what a plan says: many at once, each with its deadline, none in the way of another."""
        counts: Counter[str] = Counter()
        outcomes: list[ReapOutcome] = []
        async with asyncio.TaskGroup() as group:
            for entry in plan.entries:
                if not isinstance(entry.decision, Keep):
                    group.create_task(self._attempt(entry, plan, counts, outcomes))
        return SweepReport(
            successful=counts["successful"],
            failed=counts["failed"],
            stamped=counts["stamped"],
            kept=counts["kept"],
            not_due=sum(isinstance(entry.decision, Keep) for entry in plan.entries),
            elsewhere=counts["elsewhere"],
            outcomes=tuple(sorted(outcomes, key=lambda outcome: outcome.namespace)),
            problems=plan.problems,
            notices=plan.notices,
        )

    async def reap_one(
        self, record: NamespaceRecord, *, reason: str, user_id: str = CLEANUP_USER, request_id: str | None = None
    ) -> ReapOutcome:
        """Claim and reap one namespace as it was read; whether it may be reaped is the caller's decision.

        Once claimed, what goes wrong is told in the outcome. Raises PreconditionFailed (it changed since it was
        read: decide again), NotFound, Reaping (another took over the claim), Unavailable (also past the
        deadline).
        """
        async with self._turn(record):
            claimed = await self._claims.make(record, reason=reason, user_id=user_id, request_id=request_id or "reap")
            return await self._carry_out(claimed, continued=False)

    async def resume_one(self, record: NamespaceRecord) -> ReapOutcome | None:
        """Go on with a claim when its holder is dead; None when the namespace is gone meanwhile.

        Raises Reaping as soon as the holder shows that it lives, Unavailable.
        """
        free = await self._wait_until_free(record)
        if free is None:
            return None
        async with self._turn(free):
            return await self._take_over(free)

    async def cancel_jobs(self, record: NamespaceRecord) -> list[str]:
        """Cancel all jobs that run in a namespace, and wait for their pods to end; returns their ids."""
        return await self._canceller.cancel_all(record)

    def requires_audit(self, record: NamespaceRecord) -> bool:
        """Whether nothing destructive may happen to a namespace without its audit record."""
        return self.policy.requires_archive(record)

    async def _attempt(self, entry: Entry, plan: SweepPlan, counts: Counter[str], outcomes: list[ReapOutcome]) -> None:
        name = entry.record.name
        try:
            counted, outcome = await self._act(entry, plan)
        except Reaping as error:
            LOG.info("%s", error.detail)
            counted, outcome = "elsewhere", None
        except LivecalcError as error:
            LOG.error("Failed to reap namespace %s: %s", name, error.detail)  # noqa: TRY400  (one sentence says it)
            counted, outcome = "failed", None
        except Exception:
            # The one place where a bug in one namespace's reaping is kept from the others.
            LOG.exception("Failed to reap namespace %s", name)
            counted, outcome = "failed", None
        counts[counted] += 1
        if outcome is not None:
            outcomes.append(outcome)

    async def _act(self, entry: Entry, plan: SweepPlan) -> tuple[str, ReapOutcome | None]:
        decision = entry.decision
        if isinstance(decision, Stamp):
            LOG.warning("Stamping namespace %s: %s", entry.record.name, decision.reason)
            return ("stamped" if await stamp(self._cluster, entry.record, plan.now) else "kept"), None
        if isinstance(decision, Resume):
            outcome = await self.resume_one(entry.record)
            if outcome is None:
                raise _gone(entry.record)
        else:
            outcome = await self._reap_planned(entry, plan)
        if outcome is None:
            return "kept", None
        return ("successful" if outcome.success else "failed"), outcome

    async def _reap_planned(self, entry: Entry, plan: SweepPlan) -> ReapOutcome | None:
        record, decision = entry.record, entry.decision
        for _ in range(_TRIES):
            if isinstance(decision, Resume):
                raise held_by(record)
            if not isinstance(decision, Reap):
                LOG.info("Namespace %s is kept after all: %s", record.name, decision.reason)
                return None
            try:
                return await self.reap_one(record, reason=decision.reason)
            except (PreconditionFailed, NotFound):
                record, decision = await self._decide_again(record, plan)
        raise Conflict(f"namespace {record.name} is changed by others all the time: a later sweep decides on it")

    async def _decide_again(self, record: NamespaceRecord, plan: SweepPlan) -> tuple[NamespaceRecord, Decision]:
        try:
            fresh = await self._cluster.get_namespace(record.name)
        except NotFound:
            return record, Keep("it is gone")
        if fresh.uid != record.uid:
            return record, Keep("it is gone, and its bucket id is used anew")
        observed = await observe_one(self._cluster, fresh)
        now = await self._cluster.now()
        again = plan_sweep([observed], now, self.policy.sweep, complete=not plan.problems)
        return fresh, again.entries[0].decision

    @asynccontextmanager
    async def _turn(self, record: NamespaceRecord) -> AsyncGenerator[None]:
        """Wait for a slot, then claim and reap within the deadline, whoever asked for it.

        The slot comes before the claim: one that only waited would not be renewed. Raises Unavailable.
        """
        async with self._slots:
            try:
                async with asyncio.timeout(self.policy.deadline):
                    yield
            except TimeoutError:
                raise Unavailable(
                    f"reaping namespace {record.name} took more than {self.policy.deadline:g} s: a later sweep goes on"
                ) from None

    async def _wait_until_free(self, record: NamespaceRecord) -> NamespaceRecord | None:
        if record.uid in self._working:
            raise held_by(record)
        return await self._claims.watch(record)

    async def _take_over(self, record: NamespaceRecord) -> ReapOutcome | None:
        before = read_claim(record)
        for _ in range(_TRIES):
            if record.uid in self._working:
                raise held_by(record)
            try:
                taken = await self._claims.take_over(record)
            except (PreconditionFailed, NotFound):
                # A heartbeat may have been in the way, or another reaper.
                try:
                    fresh = await self._cluster.get_namespace(record.name)
                except NotFound:
                    return None
                if fresh.uid != record.uid:
                    return None
                if read_claim(fresh) != before:
                    raise held_by(fresh) from None
                record = fresh
                continue
            return await self._carry_out(taken, continued=True)
        raise Conflict(f"namespace {record.name} is changed by others all the time: a later sweep goes on with it")

    async def _carry_out(self, claimed: NamespaceRecord, *, continued: bool) -> ReapOutcome:
        name = claimed.name
        LOG.info("Reaping namespace %s", name)
        hold = Hold(self._cluster, claimed, every=self.policy.renewal, timeout=self.policy.claim_timeout)
        self._working.add(claimed.uid)
        try:
            outcome = await hold.keep_while(Undertaking(self._parts, hold, continued=continued).finish())
        except Reaping:
            raise
        except LivecalcError as error:
            outcome = ReapOutcome(namespace=name, bucket_id=claimed.bucket_id, success=False, message=error.detail)
            with suppress(LivecalcError):
                await hold.give_back()
        finally:
            self._working.discard(claimed.uid)
        if outcome.success:
            LOG.info("Successfully reaped namespace %s", name)
        else:
            LOG.error("Failed to reap namespace %s: %s", name, outcome.message)
        REAPS.add(result="ok" if outcome.success else "failed")
        return outcome


def _gone(record: NamespaceRecord) -> Reaping:
    return Reaping(f"namespace {record.name} is gone: another reaper was faster")
