"""A claim while we hold it: it is renewed, and all changes of its namespace go through here, one after the other."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from livecalc.cluster.port import Cluster
from livecalc.domain.claims import Claim, read_claim, renewal
from livecalc.domain.errors import Conflict, NotFound, PreconditionFailed, Reaping, Unavailable
from livecalc.domain.namespaces import REAP_HOLDER, NamespaceRecord
from livecalc.domain.receipts import ArchiveReceipt, ArchiveWaiver
from livecalc.lifecycle.claims import held_by

T = TypeVar("T")
_TRIES = 50


class Hold:
    """The namespace of a claim of ours, at its newest known version. Once it is gone, `gone` stays true."""

    def __init__(self, cluster: Cluster, record: NamespaceRecord, *, every: float, timeout: float) -> None:
        self._cluster = cluster
        self._record = record
        self._claim = _claim_of(record)
        self._every = every
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self.gone = False

    @property
    def record(self) -> NamespaceRecord:
        """The namespace as it was last read or written."""
        return self._record

    @property
    def claim(self) -> Claim:
        """The claim as it was last read or written."""
        return self._claim

    async def keep_while(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work and renew the claim meanwhile; the work is cancelled when the claim is lost (Reaping)."""
        try:
            async with asyncio.TaskGroup() as group:
                renewing = group.create_task(self._renew())
                result = await work
                renewing.cancel()
        except BaseExceptionGroup as errors:
            # One of the two failed and the other was cancelled: the failure itself is what the caller knows.
            raise errors.exceptions[0] from errors.exceptions[0].__cause__
        return result

    async def refresh(self) -> None:
        """Read the namespace again. Raises Reaping when the claim is not ours any more."""
        async with self._lock:
            await self._read_again()

    async def patch(
        self, *, annotations: Mapping[str, str | None] | None = None, remove_finalizer: str | None = None
    ) -> None:
        """Change the namespace; when others changed it, read it again and, if it is still ours, try again."""
        async with self._lock:
            for _ in range(_TRIES):
                if self.gone:
                    return
                try:
                    record = await self._cluster.patch_namespace(
                        self._record, annotations=annotations, remove_finalizer=remove_finalizer
                    )
                except (PreconditionFailed, NotFound):
                    await self._read_again()
                    continue
                self._note(record)
                return
        raise Conflict(
            f"namespace {self._record.name} is changed by others all the time: it is finished in a later sweep"
        )

    async def delete(self, proof: ArchiveReceipt | ArchiveWaiver) -> bool:
        """Begin the deletion; False when the namespace was changed since it was read: look at it again first."""
        async with self._lock:
            try:
                await self._cluster.delete_namespace(self._record, proof)
            except (PreconditionFailed, NotFound):
                await self._read_again()
                return self.gone
            await self._read_again()
            return True

    async def give_back(self) -> None:
        """Let anyone continue the claim at once, for when we stop on purpose; the claim itself stays."""
        await self.patch(annotations={REAP_HOLDER: None})

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        renewed_at = loop.time()
        while not self.gone:
            await asyncio.sleep(self._every)
            try:
                now = await self._cluster.now()
                await self.patch(annotations=renewal(self._claim, now))
            except Unavailable as error:
                if loop.time() - renewed_at >= self._timeout:
                    raise Reaping(
                        f"the claim on namespace {self._record.name} could not be renewed for {self._timeout:g} s, so "
                        f"others may have it now: {error.detail}"
                    ) from None
                continue
            renewed_at = loop.time()

    async def _read_again(self) -> None:
        try:
            record = await self._cluster.get_namespace(self._record.name)
        except NotFound:
            self.gone = True
            return
        if record.uid != self._record.uid:
            self.gone = True
            return
        claim = read_claim(record)
        if claim is None or claim.holder != self._claim.holder:
            raise held_by(record)
        self._note(record)

    def _note(self, record: NamespaceRecord) -> None:
        self._record = record
        claim = read_claim(record)
        if claim is not None:
            self._claim = claim


def _claim_of(record: NamespaceRecord) -> Claim:
    claim = read_claim(record)
    if claim is None:
        raise Conflict(f"namespace {record.name} is not claimed")
    return claim
