"""The audit records of one reaping: the same request for all who work on it, so that each is written once."""

import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from livecalc.audit.log import AuditLog, Phase
from livecalc.domain.claims import Claim
from livecalc.domain.errors import Unavailable
from livecalc.domain.namespaces import NamespaceRecord

REAP = "reap"
WAIVE = "waive-archive"
RETENTION_DELETE = "retention-delete"
"""Of `livecalc retention apply`; its detail names the `archive`."""
_CLOCKS = timedelta(minutes=5)
"""The clocks of a cluster and of those who record may differ by so much."""


class Journal:
    """Writes what a reaper is about to do, and what came of it.

    With `required`, what cannot be recorded raises Unavailable; else it goes to the log and the reaping goes on.
    `since` is when the claim was made if it was continued: looking back is only needed then.
    """

    def __init__(
        self, audit: AuditLog, record: NamespaceRecord, claim: Claim, *, required: bool, since: datetime | None
    ) -> None:
        self._audit = audit
        self._record = record
        self._claim = claim
        self._required = required
        self._since = since

    async def head(self) -> str | None:
        """The chain's head, for the manifest. Raises Unavailable, Damaged."""
        return await self._audit.head(self._record.tenant_id)

    async def is_concluded(self) -> bool:
        """Tell whether the outcome of this reaping is recorded, by another who went on with the claim.

        False as well when that cannot be read: `conclude` finds out by itself, if it can be recorded at all.
        """
        since = (self._claim.started_at or self._record.created_at) - _CLOCKS
        try:
            records = await self._audit.read(self._record.tenant_id, since=since, limit=sys.maxsize)
        except Unavailable:
            return False
        wanted = (REAP, "outcome", self._claim.request_id, self._record.name)
        return any((each.operation, each.phase, each.request_id, each.namespace) == wanted for each in records)

    async def intend(self, operation: str, detail: Mapping[str, Any]) -> None:
        """Record an intent."""
        await self._write(operation, "intent", None, detail)

    async def conclude(self, operation: str, result: str, detail: Mapping[str, Any]) -> None:
        """Record an outcome: `ok`, or what went wrong."""
        await self._write(operation, "outcome", result, detail)

    async def _write(self, operation: str, phase: Phase, result: str | None, detail: Mapping[str, Any]) -> None:
        await self._audit.record(
            tenant_id=self._record.tenant_id,
            user_id=self._claim.user_id,
            operation=operation,
            phase=phase,
            result=result,
            namespace=self._record.name,
            bucket_id=self._record.bucket_id,
            request_id=self._claim.request_id,
            detail=detail,
            once_since=self._since,
            required=self._required,
        )
