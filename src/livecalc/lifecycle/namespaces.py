"""What callers do with their buckets' namespaces; a namespace of another tenant does not exist for them."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from livecalc.audit.log import AuditLog
from livecalc.blobs.port import BlobStore
from livecalc.cluster.port import Cluster
from livecalc.domain.buckets import check_bucket_id, is_recompute, namespace_name
from livecalc.domain.claims import read_claim
from livecalc.domain.errors import AlreadyExists, Conflict, InvalidInput, NotFound, PreconditionFailed, Reaping
from livecalc.domain.namespaces import (
    FINALIZED_AT,
    LABELS,
    STATUS,
    TENANT_ID,
    NamespaceRecord,
    Status,
    belongs_to,
)
from livecalc.domain.retention import Retention
from livecalc.domain.tenants import CLEANUP_USER, Principal
from livecalc.domain.timestamps import format_timestamp, parse_timestamp
from livecalc.lifecycle.activity import refuse_inactive, update_namespace_activity
from livecalc.lifecycle.cancel import running_jobs, running_pods
from livecalc.lifecycle.claims import held_by
from livecalc.lifecycle.creation import Creation
from livecalc.lifecycle.outcome import ReapOutcome
from livecalc.lifecycle.reaper import Reaper
from livecalc.lifecycle.views import view_namespace, view_reaped
from livecalc.records.bounded import map_bounded
from livecalc.wire import namespaces as wire

_TRIES = 50
_AT_ONCE = 8
_POLL = 0.05


class NamespaceManager:
    """Create, list, finalize and reap namespaces; every method is scoped by the caller's tenant."""

    def __init__(self, *, cluster: Cluster, blobs: BlobStore, audit: AuditLog, reaper: Reaper) -> None:
        self._cluster = cluster
        self._creation = Creation(cluster=cluster, blobs=blobs, audit=audit)
        self._audit = audit
        self._reaper = reaper

    async def create_namespace(
        self, principal: Principal, bucket_id: str, *, retention: Retention | None = None, request_id: str
    ) -> tuple[NamespaceRecord, bool]:
        """Make a bucket's namespace, or find it active; the second value tells whether it is new.

        Raises InvalidInput (the id, or a retention that the store does not prove), Conflict and Reaping (not
        available).
        """
        await self.refuse_unprotected(principal, bucket_id, retention, request_id=request_id)
        name = namespace_name(bucket_id)
        for _ in range(_TRIES):
            existing = await self._find(name)
            if existing is not None:
                return await self._reuse(principal, existing, retention), False
            try:
                made = await self._creation.create(principal, bucket_id, retention or Retention.STANDARD, request_id)
            except AlreadyExists:
                # Somebody was faster, or one of that name is still on its way out: what it is decides.
                await asyncio.sleep(_POLL)
                continue
            return made, True
        raise Conflict(f"bucket {bucket_id} could not be made: its namespace comes and goes; try again")

    async def refuse_unprotected(
        self, principal: Principal, bucket_id: str, retention: Retention | None, *, request_id: str
    ) -> None:
        """Raise InvalidInput for a wrong id, and for a retention that the store does not prove; makes nothing."""
        check_bucket_id(bucket_id)
        await self._creation.refuse_unprotected(principal, bucket_id, retention, request_id)

    async def create_recomputation(self, principal: Principal, bucket_id: str) -> NamespaceRecord:
        """Make the namespace of a recomputation; audited as part of it. Raises AlreadyExists."""
        if not is_recompute(bucket_id):
            raise InvalidInput(f"bucket id {bucket_id!r} is not that of a recomputation")
        return await self._creation.make(principal, bucket_id, Retention.STANDARD)

    async def delete_recomputation(
        self, namespace: NamespaceRecord, *, user_id: str = CLEANUP_USER, request_id: str | None = None
    ) -> ReapOutcome | None:
        """Delete a recomputation's namespace, without an archive, and wait until it is gone.

        None when it is gone already, or in the hands of a sweep. What goes wrong is told in the outcome, and a later
        sweep goes on with it. Raises Unavailable.
        """
        for _ in range(_TRIES):
            record = await self._find(namespace.name)
            if record is None or record.uid != namespace.uid:
                return None
            try:
                if read_claim(record) is not None:
                    return await self._reaper.resume_one(record)
                return await self._reaper.reap_one(
                    record, reason="recomputation finished", user_id=user_id, request_id=request_id
                )
            except (PreconditionFailed, NotFound):
                continue
            except Reaping:
                return None
        raise Conflict(f"namespace {namespace.name} is changed by others all the time: a later sweep deletes it")

    async def update_namespace_activity(self, name: str) -> bool:
        """Tell that a namespace is in use now; see `activity.update_namespace_activity`."""
        return await update_namespace_activity(self._cluster, name, await self._cluster.now())

    async def list_namespaces(
        self, principal: Principal, *, limit: int = 100, after: str = "", recomputations: bool = False
    ) -> list[wire.Namespace]:
        """List at most `limit` of the tenant's namespaces by name, those after `after`; Unavailable if incomplete."""
        listed = await self._cluster.list_namespaces({**LABELS, TENANT_ID: principal.tenant_key})
        own = [
            record
            for record in listed.items
            if record.name > after
            and belongs_to(record, principal)
            and (recomputations or not is_recompute(record.bucket_id))
        ]
        return await map_bounded(self._view, sorted(own, key=lambda record: record.name)[:limit], at_once=_AT_ONCE)

    async def get_namespace(self, principal: Principal, name: str) -> wire.Namespace:
        """Read one namespace. Raises NotFound."""
        return await self._view(await self._own(principal, name))

    async def finalize_namespace(
        self, principal: Principal, name: str, *, force: bool, request_id: str
    ) -> wire.Namespace:
        """Take no more work for a bucket, so that the next sweep archives and deletes it. Idempotent.

        Raises NotFound, and Conflict that names the jobs still running; `force` cancels them first.
        """
        record = await self._own(principal, name)
        if _is_ended(record):
            return await self._view(record)
        await self._refuse_running(record, force=force)
        async with self._audit.operation(
            principal=principal,
            operation="finalize",
            namespace=name,
            bucket_id=record.bucket_id,
            request_id=request_id,
            detail={"force": force},
            required=self._reaper.requires_audit(record),
        ) as entry:
            for _ in range(_TRIES):
                if force:
                    entry.detail["cancelled"] = await self._reaper.cancel_jobs(record)
                record = await self._own(principal, name)
                if _is_ended(record):
                    return await self._view(record)
                await self._refuse_running(record, force=False)
                moment = format_timestamp(await self._cluster.now())
                try:
                    record = await self._cluster.patch_namespace(
                        record, annotations={STATUS: Status.FINALIZED, FINALIZED_AT: moment}
                    )
                except PreconditionFailed:
                    continue
                return await self._view(record)
        raise Conflict(f"namespace {name} is changed by others all the time: finalize it again")

    async def reap_namespace(
        self, principal: Principal, name: str, *, bucket_id: str, force: bool, request_id: str
    ) -> wire.Reaped:
        """Archive and delete a bucket's namespace now, and wait until it is gone; a failure is told in the answer.

        Raises InvalidInput (name and bucket do not match), NotFound, Conflict that names the pods still running
        (`force` cancels the jobs first), Reaping (another worker holds the claim).
        """
        if name != namespace_name(bucket_id):
            raise InvalidInput(f"namespace {name!r} is not that of bucket {bucket_id!r}: nothing was done")
        for _ in range(_TRIES):
            record = await self._own(principal, name)
            if read_claim(record) is not None or record.terminating:
                return await self._go_on(record)
            if force:
                await self._cancel(principal, record, request_id)
                record = await self._own(principal, name)
            pods = [] if force else await running_pods(self._cluster, name)
            if pods:
                names = ", ".join(pods)
                raise Conflict(f"namespace {name} has running pods: {names}; wait, or force it (--force, force=true)")
            try:
                outcome = await self._reaper.reap_one(
                    record,
                    reason=f"requested by {principal.user_id}",
                    user_id=principal.user_id,
                    request_id=request_id,
                )
            except PreconditionFailed:
                continue
            return view_reaped(outcome)
        raise Conflict(f"namespace {name} is changed by others all the time: reap it again")

    async def _reuse(
        self, principal: Principal, record: NamespaceRecord, retention: Retention | None
    ) -> NamespaceRecord:
        if not belongs_to(record, principal):
            raise Conflict("bucket id not available")
        refuse_inactive(record)
        if retention is not None and retention is not record.retention:
            raise Conflict(
                f"bucket {record.bucket_id} has retention {record.retention}, not {retention}: use another bucket id"
            )
        # It may be busy, or gone: a submit finds out for itself.
        with suppress(PreconditionFailed, NotFound):
            await self.update_namespace_activity(record.name)
        return record

    async def _go_on(self, record: NamespaceRecord) -> wire.Reaped:
        claim = read_claim(record)
        if claim is None:
            raise Conflict(f"namespace {record.name} was deleted by someone else, without an archive: it is on its way")
        renewed_at = parse_timestamp(claim.renewed[0])
        patience = timedelta(seconds=self._reaper.policy.claim_timeout)
        lives = renewed_at is not None and await self._cluster.now() - renewed_at < patience
        if claim.holder not in {"", self._reaper.holder} and lives:
            raise held_by(record)
        outcome = await self._reaper.resume_one(record)
        if outcome is None:
            outcome = ReapOutcome(
                namespace=record.name,
                bucket_id=record.bucket_id,
                success=True,
                message=f"Namespace {record.name} successfully reaped",
            )
        return view_reaped(outcome)

    async def _cancel(self, principal: Principal, record: NamespaceRecord, request_id: str) -> None:
        jobs = [job.name for job in await running_jobs(self._cluster, record.name)]
        if not jobs:
            return
        async with self._audit.operation(
            principal=principal,
            operation="cancel",
            namespace=record.name,
            bucket_id=record.bucket_id,
            request_id=request_id,
            detail={"jobs": jobs},
            required=self._reaper.requires_audit(record),
        ):
            await self._reaper.cancel_jobs(record)

    async def _refuse_running(self, record: NamespaceRecord, *, force: bool) -> None:
        running = [] if force else await running_jobs(self._cluster, record.name)
        if running:
            names = ", ".join(job.name for job in running)
            raise Conflict(
                f"namespace {record.name} has jobs still running: {names}; wait, or force it (--force, force=true)"
            )

    async def _find(self, name: str) -> NamespaceRecord | None:
        try:
            return await self._cluster.get_namespace(name)
        except NotFound:
            return None

    async def _own(self, principal: Principal, name: str) -> NamespaceRecord:
        record = await self._find(name)
        if record is None or not belongs_to(record, principal):
            raise NotFound(f"there is no namespace {name}")
        return record

    async def _view(self, record: NamespaceRecord) -> wire.Namespace:
        pods = await self._cluster.list_pods(record.name)
        claims = await self._cluster.list_volume_claims(record.name)
        return view_namespace(record, pods=len(pods), volume_claims=len(claims))


def _is_ended(record: NamespaceRecord) -> bool:
    return record.terminating or record.status in {Status.FINALIZED, Status.REAPING}
