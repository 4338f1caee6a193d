"""The curator: plans what has outlived its retention, and carries that out. What goes is `plan`, how is `removal`."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from msgspec import Struct

from livecalc.audit.log import AuditLog
from livecalc.blobs.port import BlobStore
from livecalc.cluster.port import Cluster
from livecalc.domain.errors import LivecalcError
from livecalc.lifecycle.archive.index import ViolationIndex
from livecalc.lifecycle.retention.decision import Delete
from livecalc.lifecycle.retention.observe import observe
from livecalc.lifecycle.retention.plan import RetentionPlan, plan_retention
from livecalc.lifecycle.retention.removal import Deletion, Remover
from livecalc.lifecycle.retention.report import Outcome, RetentionReport
from livecalc.records.bounded import map_bounded

LOG = logging.getLogger("livecalc.retention")


class RetentionPolicy(Struct, frozen=True, kw_only=True):
    """Everything that a run goes by."""

    max_deletions: int = 500
    """The most archives that one run deletes; and the most jobs, and the most bundles."""
    concurrency: int = 8
    """How many deletions are under way at once."""
    diagnostics: str = "diagnostics"
    """The prefix of the containers of archives."""
    deadline: float = 300.0
    """Seconds; the most that one deletion gets in one run."""
    patience: timedelta = timedelta(minutes=15)
    """How old the mark of another's deletion must be before it is gone on with; longer than the deadline."""


class Curator:
    """One process that looks after retention. `holder` names it in marks and must be another one at each start."""

    def __init__(  # noqa: PLR0913  (each is a part of the platform, named once in bootstrap)
        self,
        *,
        cluster: Cluster,
        blobs: BlobStore,
        audit: AuditLog,
        index: ViolationIndex,
        policy: RetentionPolicy,
        now: Callable[[], datetime],
        holder: str | None = None,
    ) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._audit = audit
        self._index = index
        self._policy = policy
        self._now = now
        self._holder = holder or f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"

    async def plan(self, *, tenant: str | None = None) -> RetentionPlan:
        """Look at everything of all tenants, or of the one with a key, and decide. Raises Unavailable."""
        seen = await observe(
            self._cluster, self._blobs, self._audit, self._policy.diagnostics, self._now, tenant=tenant
        )
        return plan_retention(
            seen.tenants,
            seen.now,
            max_deletions=self._policy.max_deletions,
            skew=seen.skew,
            complete=seen.complete,
            problems=seen.problems,
        )

    async def apply(self, plan: RetentionPlan) -> RetentionReport:
        """Do what a plan says: archives, then the jobs that only they needed, then the bundles of those."""
        remover = Remover(
            cluster=self._cluster,
            blobs=self._blobs,
            audit=self._audit,
            index=self._index,
            holder=self._holder,
            patience=self._policy.patience,
        )
        planned = _deletions(plan)
        left = {(each.tenant.key, each.target.key) for each in planned}
        """What is still there."""
        outcomes: list[Outcome] = []
        for kind in ("archive", "job", "bundle"):
            of_kind = [each for each in planned if each.target.kind == kind]
            attempt = partial(self._attempt, remover, frozenset(left))
            done = await map_bounded(attempt, of_kind, at_once=self._policy.concurrency)
            left -= {(each.tenant, each.target.key) for each in done if each.result == "deleted"}
            outcomes += done
        report = RetentionReport(outcomes=tuple(outcomes), problems=plan.problems)
        LOG.info("Retention finished: %d deleted, %d failed", report.count("deleted"), report.count("failed"))
        return report

    async def _attempt(self, remover: Remover, left: frozenset[tuple[str, str]], one: Deletion) -> Outcome:
        tenant, target = one.tenant.key, one.target
        waits = sorted(key for key in one.after if (tenant, key) in left)
        if waits:
            return Outcome(tenant=tenant, target=target, result="waiting", message=f"{waits[0]} is still there")
        try:
            async with asyncio.timeout(self._policy.deadline):
                outcome = await remover.remove(one)
        except LivecalcError as error:
            outcome = Outcome(tenant=tenant, target=target, result="failed", message=error.detail)
        except TimeoutError:
            why = f"it took more than {self._policy.deadline:g} s: a later run goes on with it"
            outcome = Outcome(tenant=tenant, target=target, result="failed", message=why)
        except Exception as error:
            # The one place where a bug in one deletion is kept from the others.
            LOG.exception("Failed to delete %s %s of tenant %s", target.kind, target.name, tenant)
            why = f"failed unexpectedly: {type(error).__name__}"
            return Outcome(tenant=tenant, target=target, result="failed", message=why)
        _log(outcome)
        return outcome


def _deletions(plan: RetentionPlan) -> list[Deletion]:
    due = [
        Deletion(
            tenant=entry.tenant,
            target=entry.seen.target,
            reason=entry.decision.reason,
            after=entry.decision.after,
        )
        for entry in plan.entries
        if isinstance(entry.decision, Delete)
    ]
    begun = [
        Deletion(tenant=each.tenant, target=each.mark.target, reason="begun by an earlier run", kept=each.kept)
        for each in plan.begun
    ]
    return [*due, *begun]


def _log(outcome: Outcome) -> None:
    what = f"{outcome.target.kind} {outcome.target.name} of tenant {outcome.tenant}"
    if outcome.result == "deleted":
        LOG.info("Deleted %s: %d blobs, %d bytes", what, outcome.blobs, outcome.bytes)
    elif outcome.result == "failed":
        LOG.error("Failed to delete %s: %s", what, outcome.message)
    else:
        LOG.info("%s %s: %s", "Kept" if outcome.result == "kept" else "Left", what, outcome.message)
