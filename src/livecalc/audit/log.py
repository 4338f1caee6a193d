"""The audit log: every operation before it takes effect, and again with its outcome."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from livecalc.audit.chain import Chain, audit_container, blob_name, decode
from livecalc.audit.check import check_chain
from livecalc.blobs.port import BlobStore, read_all
from livecalc.domain.audit import AuditRecord
from livecalc.domain.errors import Damaged, LivecalcError, NotFound, Unavailable
from livecalc.domain.tenants import Principal
from livecalc.domain.timestamps import format_timestamp
from livecalc.telemetry.notices import notice
from livecalc.wire.diagnostics import AuditVerification

Policy = Literal["required", "best-effort"]
Phase = Literal["intent", "outcome"]

_LOGGER = logging.getLogger("livecalc.audit")
_CLOCK_SLACK = timedelta(minutes=5)
"""Writers' clocks may differ by so much; a look back in time goes further by it."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Operation:
    """An operation under way: its body adds what is known only then."""

    def __init__(self, detail: Mapping[str, Any], namespace: str | None, bucket_id: str | None) -> None:
        self.detail = dict(detail)
        self.namespace = namespace
        self.bucket_id = bucket_id
        self.result = "ok"
        """What the outcome says when the body raises nothing."""


class AuditLog:
    """One hash chain per tenant, in blobs."""

    def __init__(
        self, blobs: BlobStore, *, policy: Policy = "required", now: Callable[[], datetime] = _utc_now
    ) -> None:
        self._blobs = blobs
        self._policy = policy
        self._now = now
        self._chains: dict[str, Chain] = {}

    async def record(  # noqa: PLR0913  (the columns of one record)
        self,
        *,
        tenant_id: str,
        user_id: str,
        operation: str,
        phase: Phase,
        result: str | None = None,
        namespace: str | None = None,
        bucket_id: str | None = None,
        request_id: str,
        detail: Mapping[str, Any] | None = None,
        once_since: datetime | None = None,
        required: bool = True,
    ) -> AuditRecord:
        """Append a record and return it.

        With `once_since`, a record from that time on of the same request, operation, phase, namespace and bucket is
        returned instead of written again. Raises Unavailable and Damaged; unless it is `required`: then the record
        goes to the log as one `AUDIT {json}` line, and is returned without number and hash.
        """
        draft = AuditRecord(
            sequence=0,
            previous="",
            timestamp=format_timestamp(self._now()),
            tenant_id=tenant_id,
            user_id=user_id,
            operation=operation,
            phase=phase,
            result=result,
            namespace=namespace,
            bucket_id=bucket_id,
            request_id=request_id,
            detail=msgspec.json.decode(msgspec.json.encode(detail or {}), type=dict[str, Any]),
        )
        since = None if once_since is None else format_timestamp(once_since - _CLOCK_SLACK)
        try:
            return await self._chain(tenant_id).append(draft, unless_like_since=since)
        except LivecalcError as error:
            if required:
                raise
            _write_line(draft, error)
            return draft

    @asynccontextmanager
    async def operation(  # noqa: PLR0913  (the columns of one record)
        self,
        *,
        principal: Principal,
        operation: str,
        request_id: str,
        namespace: str | None = None,
        bucket_id: str | None = None,
        detail: Mapping[str, Any] | None = None,
        required: bool | None = None,
    ) -> AsyncGenerator[Operation]:
        """Audit the body: its intent before, its outcome after, whatever it was.

        `required` (default: the policy) says that without the intent's record the body does not run: Unavailable.
        An outcome that cannot be recorded goes to the log, because the body has taken effect.
        """
        entry = Operation(detail or {}, namespace, bucket_id)
        must = self._policy == "required" if required is None else required
        try:
            await self._phase(principal, operation, request_id, entry, "intent", required=must)
        except LivecalcError as error:
            msg = f"{operation} was not done, because its audit record cannot be written: {error.detail}"
            raise Unavailable(msg) from error
        try:
            yield entry
        except BaseException as error:
            entry.result = _told(error)
            raise
        finally:
            await _to_the_end(self._phase(principal, operation, request_id, entry, "outcome", required=False))

    async def _phase(  # noqa: PLR0913  (the columns of one record)
        self, principal: Principal, operation: str, request_id: str, entry: Operation, phase: Phase, *, required: bool
    ) -> None:
        await self.record(
            tenant_id=principal.tenant_id,
            user_id=principal.user_id,
            operation=operation,
            phase=phase,
            result=entry.result if phase == "outcome" else None,
            namespace=entry.namespace,
            bucket_id=entry.bucket_id,
            request_id=request_id,
            detail=entry.detail,
            required=required,
        )

    async def head(self, tenant_id: str) -> str | None:
        """Tell the chain's end as `{sequence}:{hash}`; None when it is empty. Raises Unavailable, Damaged."""
        head = await self._chain(tenant_id).head()
        return f"{head.sequence}:{head.hash}" if head.sequence else None

    async def read(
        self, tenant_id: str, *, since: datetime | None = None, limit: int = 100, before: int | None = None
    ) -> list[AuditRecord]:
        """Return at most `limit` records from `since` on, newest first, from number `before` - 1 down.

        Raises Unavailable.
        A missing record is passed over, as the numbers show, a damaged one with a notice; `verify` says what is wrong.
        """
        chain = self._chain(tenant_id)
        first = "" if since is None else format_timestamp(since)
        horizon = "" if since is None else format_timestamp(since - _CLOCK_SLACK)
        found: list[AuditRecord] = []
        last = await chain.last()
        for sequence in range(last if before is None else min(last, before - 1), 0, -1):
            try:
                record = await chain.read(sequence)
            except NotFound:
                continue
            except Damaged as error:
                notice(f"audit record {sequence} is left out: {error.detail}")
                continue
            if len(found) == limit or record.timestamp < horizon:
                break
            if record.timestamp >= first:
                found.append(record)
        return found

    async def verify(
        self,
        tenant_id: str,
        *,
        heads: Sequence[str] = (),
        given: Sequence[str] = (),
        seen: Callable[[AuditRecord], None] = lambda _: None,
    ) -> AuditVerification:
        """Walk the whole chain; see `check.check_chain`. Raises InvalidInput for a head that is none, Unavailable."""
        return await check_chain(self._blobs, Chain(self._blobs, tenant_id), heads, given=given, seen=seen)

    async def owner(self, tenant_key: str) -> str | None:
        """Tell whose chain it is that a tenant's key names; None when there is none. Raises Unavailable."""
        try:
            raw = await read_all(self._blobs, audit_container(tenant_key), blob_name(1))
            return decode(1, raw).tenant_id
        except (NotFound, Damaged):
            return None

    def _chain(self, tenant_id: str) -> Chain:
        return self._chains.setdefault(tenant_id, Chain(self._blobs, tenant_id))


def _told(error: BaseException) -> str:
    if isinstance(error, LivecalcError):
        return error.detail
    if isinstance(error, asyncio.CancelledError):
        return "cancelled before it ended"
    return f"failed unexpectedly: {type(error).__name__}"


def _write_line(record: AuditRecord, error: LivecalcError) -> None:
    _LOGGER.error("AUDIT %s", msgspec.json.encode(record).decode())
    _LOGGER.error("The audit record above could not be stored: %s", error.detail)


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Finish even when the caller is being cancelled; the outcome of a cancelled operation is audited too."""
    running = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    running.result()
