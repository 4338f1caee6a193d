"""One deletion, step by step: mark it, look once more, audit it, delete, audit the outcome, take the mark away.

Each step may be done again by whoever continues: what is gone counts as done. The mark stays until the outcome is
audited, whatever fails before, so that a deletion is told once before it begins and once when it is done.
"""

import secrets
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from livecalc.audit.log import AuditLog, Phase
from livecalc.blobs.port import BlobStore
from livecalc.cluster.port import Cluster
from livecalc.domain.audit import AuditRecord
from livecalc.domain.errors import LivecalcError, NotFound, Unavailable
from livecalc.domain.tenants import CLEANUP_USER
from livecalc.domain.timestamps import format_timestamp, parse_timestamp
from livecalc.lifecycle.archive.index import ViolationIndex
from livecalc.lifecycle.journal import RETENTION_DELETE
from livecalc.lifecycle.plan import CLOCK_TOLERANCE, describe
from livecalc.lifecycle.retention.contents import Contents, Shelves
from livecalc.lifecycle.retention.lastlook import LastLook
from livecalc.lifecycle.retention.marks import Mark, Marks, Target
from livecalc.lifecycle.retention.report import Outcome, Result
from livecalc.lifecycle.retention.seen import Blob, TenantSeen
from livecalc.records.bounded import map_bounded

_AT_ONCE = 8
_EPOCH = datetime.fromtimestamp(0, UTC)


class Deletion(Struct, frozen=True, kw_only=True):
    """One deletion of a plan."""

    tenant: TenantSeen
    target: Target
    reason: str
    after: frozenset[str] = frozenset()
    """The keys of what must be gone before."""
    kept: str | None = None
    """Why a deletion that was begun is not gone on with."""


class Remover:
    """Carries out the deletions of one run."""

    def __init__(  # noqa: PLR0913  (three ports, the index, and who acts)
        self,
        *,
        cluster: Cluster,
        blobs: BlobStore,
        audit: AuditLog,
        index: ViolationIndex,
        holder: str,
        patience: timedelta,
    ) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._audit = audit
        self._index = index
        self._holder = holder
        self._patience = patience
        self._shelves = Shelves(blobs)
        self._look = LastLook(cluster=cluster, blobs=blobs)

    async def remove(self, one: Deletion) -> Outcome:
        """Delete a target, or go on with its deletion, unless something stands against it at last.

        Raises Unavailable (also when it cannot be audited, and then nothing goes), Conflict, Damaged.
        """
        marks = Marks(self._blobs, one.tenant.key)
        now = await self._cluster.now()
        mark = next((mark for mark in one.tenant.marks if mark.target.key == one.target.key), None)
        begun = mark is not None
        mark = mark or self._mark(one, now)
        mine = mark.is_left(now, self._patience) if begun else await marks.make(mark)
        if not mine:
            return _outcome(one, "elsewhere", f"another run began it less than {describe(self._patience)} ago")
        try:
            step = await self._prepare(one, mark, marks, now, begun=begun)
        except LivecalcError:
            # Where no intent is told, nothing has gone.
            with suppress(LivecalcError):
                if not await self._said(mark):
                    await marks.remove(one.target.key)
            raise
        outcome = step if isinstance(step, Outcome) else await self._carry_out(one, mark, step, begun=begun)
        await marks.remove(one.target.key)
        return outcome

    def _mark(self, one: Deletion, now: datetime) -> Mark:
        return Mark(
            target=one.target,
            tenant_id=one.tenant.tenant_id or "",
            request_id=f"retention-{secrets.token_hex(8)}",
            holder=self._holder,
            started_at=format_timestamp(now),
            reason=one.reason,
        )

    async def _prepare(
        self, one: Deletion, mark: Mark, marks: Marks, now: datetime, *, begun: bool
    ) -> "Outcome | _Intended":
        """Tell what is about to happen, or find that nothing is to be done any more."""
        said = await self._said(mark) if begun else {}
        intent = said.get("intent")
        contents = await self._shelves.contents(one.tenant.key, one.target)
        if "outcome" in said:
            told = f"an earlier run has concluded it: {said['outcome'].result}"
            return _outcome(one, "kept" if contents.blobs else "deleted", told)
        kept = None
        if contents.blobs:
            kept = one.kept or await self._look.why_kept(one.tenant, one.target, contents, now)
        if intent is not None:
            return _Intended(contents=contents, kept=kept, detail=intent.detail)
        if kept is not None:
            return _outcome(one, "kept", kept)
        if not contents.blobs:
            return _outcome(one, "elsewhere", "another run has deleted it")
        await self._check_clock(mark, marks)
        return _Intended(contents=contents, kept=None, detail=await self._intend(mark, contents, begun=begun))

    async def _said(self, mark: Mark) -> dict[str, AuditRecord]:
        """Read what the audit chain tells of a deletion that was begun, by phase. Raises Unavailable."""
        since = (parse_timestamp(mark.started_at) or _EPOCH) - CLOCK_TOLERANCE
        records = await self._audit.read(mark.tenant_id, since=since, limit=sys.maxsize)
        wanted = (RETENTION_DELETE, mark.request_id)
        return {record.phase: record for record in records if (record.operation, record.request_id) == wanted}

    async def _check_clock(self, mark: Mark, marks: Marks) -> None:
        """See that the store's clock does not contradict the cluster's, which may be that of this machine alone."""
        started_at, made_at = parse_timestamp(mark.started_at), await marks.made_at(mark.target.key)
        if started_at is not None and made_at is not None and started_at - made_at > CLOCK_TOLERANCE:
            raise Unavailable(
                f"{mark.target.kind} {mark.target.name} is not deleted: the cluster's clock is "
                f"{describe(started_at - made_at)} ahead of the blob store's; set it right"
            )

    async def _intend(self, mark: Mark, contents: Contents, *, begun: bool) -> dict[str, Any]:
        target, stored = mark.target, contents.stored
        called = f"{target.kind} {target.name}"
        detail = {target.kind: target.name, "reason": mark.reason, "blobs": stored.blobs, "bytes": stored.bytes}
        try:
            await self._record(mark, "intent", None, detail, begun=begun)
        except LivecalcError as error:
            why = f"{called} is not deleted, because its audit record cannot be written: {error.detail}"
            raise Unavailable(why) from error
        return detail

    async def _carry_out(self, one: Deletion, mark: Mark, step: "_Intended", *, begun: bool) -> Outcome:
        if step.kept is None:
            await self._delete(one, step.contents)
        result = "ok" if step.kept is None else f"kept after all: {step.kept}"
        await self._record(mark, "outcome", result, step.detail, begun=begun)
        if step.kept is not None:
            return _outcome(one, "kept", step.kept)
        stored = step.contents.stored
        return msgspec.structs.replace(
            _outcome(one, "deleted", mark.reason or one.reason), blobs=stored.blobs, bytes=stored.bytes
        )

    async def _delete(self, one: Deletion, contents: Contents) -> None:
        await self._delete_all(contents.first)
        if one.target.place is not None:
            # While the archive's blobs are there, they say the name of its entry.
            await self._index.remove_entry(one.tenant.key, one.target.place)
        await self._delete_all(contents.rest)
        await self._delete_all(contents.last)

    async def _delete_all(self, blobs: tuple[Blob, ...]) -> None:
        await map_bounded(self._delete_one, blobs, at_once=_AT_ONCE)

    async def _delete_one(self, blob: Blob) -> None:
        container, info = blob
        with suppress(NotFound):
            await self._blobs.delete(container, info.name)

    async def _record(
        self, mark: Mark, phase: Phase, result: str | None, detail: dict[str, Any], *, begun: bool
    ) -> None:
        await self._audit.record(
            tenant_id=mark.tenant_id,
            user_id=CLEANUP_USER,
            operation=RETENTION_DELETE,
            phase=phase,
            result=result,
            bucket_id=mark.target.bucket_id or None,
            request_id=mark.request_id,
            detail=detail,
            once_since=parse_timestamp(mark.started_at) if begun else None,
            required=True,
        )


class _Intended(Struct, frozen=True, kw_only=True):
    """A deletion whose intent is in the audit chain."""

    contents: Contents
    kept: str | None
    """What stands against it although it was begun."""
    detail: dict[str, Any]
    """As its intent has it."""


def _outcome(one: Deletion, result: Result, message: str) -> Outcome:
    return Outcome(tenant=one.tenant.key, target=one.target, result=result, message=message)
