"""One deletion, step by step: mark it, look once more, audit it, delete, audit the outcome, take the mark away.

Each step may be done again by whoever continues: what is gone counts as done, and nothing is audited twice.
"""

import secrets
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from livecalc.audit.log import AuditLog, Phase
from livecalc.blobs.port import BlobStore
from livecalc.cluster.port import Cluster
from livecalc.domain.errors import LivecalcError, NotFound, Unavailable
from livecalc.domain.tenants import CLEANUP_USER
from livecalc.domain.timestamps import format_timestamp, parse_timestamp
from livecalc.lifecycle.archive.index import ViolationIndex
from livecalc.lifecycle.journal import RETENTION_DELETE
from livecalc.lifecycle.retention.contents import Blob, Contents, Shelves
from livecalc.lifecycle.retention.marks import Mark, Marks, Target
from livecalc.lifecycle.retention.report import Outcome, Result
from livecalc.lifecycle.retention.seen import TenantSeen
from livecalc.records.bounded import map_bounded

_AT_ONCE = 8


class Remover:
    """Carries out the deletions of one run, which was planned at `since`."""

    def __init__(  # noqa: PLR0913  (three ports, the index, and who acts since when)
        self,
        *,
        cluster: Cluster,
        blobs: BlobStore,
        audit: AuditLog,
        index: ViolationIndex,
        holder: str,
        patience: timedelta,
        since: datetime,
    ) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._audit = audit
        self._index = index
        self._holder = holder
        self._patience = patience
        self._since = since
        self._shelves = Shelves(blobs)

    async def remove(self, tenant: TenantSeen, target: Target, reason: str) -> Outcome:
        """Delete a target, or go on with its deletion, unless something stands against it at last.

        Raises Unavailable (also when it cannot be audited, and then nothing goes), Conflict, Damaged.
        """
        marks = Marks(self._blobs, tenant.key)
        now = await self._cluster.now()
        mark = next((mark for mark in tenant.marks if mark.target.key == target.key), None)
        resumed = mark is not None
        contents = await self._shelves.contents(tenant, target)
        if mark is None:
            mark = self._mark(tenant, target, contents, reason, now)
            mine = await marks.make(mark)
        else:
            mine = mark.is_left(self._holder, now, self._patience)
        if not mine:
            return _outcome(tenant, target, "elsewhere", "another run is at it")
        kept = await self._shelves.why_kept(tenant, target, contents, now, self._since)
        if kept is not None and not resumed:
            await marks.remove(target.key)
            return _outcome(tenant, target, "kept", kept)
        await self._intend(marks, mark, resumed=resumed)
        if kept is None:
            await self._delete(tenant, mark, marks, contents, resumed=resumed)
        await self._record(mark, "outcome", "ok" if kept is None else f"kept after all: {kept}", resumed=resumed)
        await marks.remove(target.key)
        if kept is not None:
            return _outcome(tenant, target, "kept", kept)
        stored = contents.stored
        return msgspec.structs.replace(
            _outcome(tenant, target, "deleted", reason), blobs=stored.blobs, bytes=stored.bytes
        )

    def _mark(self, tenant: TenantSeen, target: Target, contents: Contents, reason: str, now: datetime) -> Mark:
        stored = contents.stored
        return Mark(
            target=target,
            tenant_id=tenant.tenant_id or "",
            request_id=f"retention-{secrets.token_hex(8)}",
            holder=self._holder,
            started_at=format_timestamp(now),
            detail={target.kind: target.name, "reason": reason, "blobs": stored.blobs, "bytes": stored.bytes},
        )

    async def _intend(self, marks: Marks, mark: Mark, *, resumed: bool) -> None:
        try:
            await self._record(mark, "intent", None, resumed=resumed)
        except LivecalcError as error:
            if not resumed:
                with suppress(LivecalcError):
                    await marks.remove(mark.target.key)
            raise Unavailable(
                f"{mark.target.kind} {mark.target.name} is not deleted, because its audit record cannot be written: "
                f"{error.detail}"
            ) from error

    async def _delete(self, tenant: TenantSeen, mark: Mark, marks: Marks, contents: Contents, *, resumed: bool) -> None:
        try:
            await self._delete_all(contents.first)
            if mark.target.place is not None:
                # While the archive's blobs are there, they say the name of its entry.
                await self._index.remove_entry(tenant.key, mark.target.place)
            await self._delete_all(contents.rest)
            await self._delete_all(contents.last)
        except LivecalcError as error:
            # The next run begins it anew; unless this cannot be said, then it goes on with it.
            with suppress(LivecalcError):
                await self._record(mark, "outcome", error.detail, resumed=resumed)
                await marks.remove(mark.target.key)
            raise

    async def _delete_all(self, blobs: tuple[Blob, ...]) -> None:
        await map_bounded(self._delete_one, blobs, at_once=_AT_ONCE)

    async def _delete_one(self, blob: Blob) -> None:
        container, info = blob
        with suppress(NotFound):
            await self._blobs.delete(container, info.name)

    async def _record(self, mark: Mark, phase: Phase, result: str | None, *, resumed: bool) -> None:
        await self._audit.record(
            tenant_id=mark.tenant_id,
            user_id=CLEANUP_USER,
            operation=RETENTION_DELETE,
            phase=phase,
            result=result,
            bucket_id=mark.target.bucket_id or None,
            request_id=mark.request_id,
            detail=mark.detail,
            once_since=parse_timestamp(mark.started_at) if resumed else None,
            required=True,
        )


def _outcome(tenant: TenantSeen, target: Target, result: Result, message: str) -> Outcome:
    return Outcome(tenant=tenant.key, target=target, result=result, message=message)
