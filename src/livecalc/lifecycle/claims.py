"""Make a claim on a namespace, watch another's, take over one whose holder is dead; `hold` is what holders do."""

import asyncio

import msgspec

from livecalc.cluster.port import Cluster
from livecalc.domain.claims import Claim, read_claim, write_claim
from livecalc.domain.errors import NotFound, Reaping
from livecalc.domain.namespaces import FINALIZER, NamespaceRecord
from livecalc.domain.timestamps import archive_timestamp

_WATCHES = 20
"""How often a claim is looked at while its timeout runs."""


class Claims:
    """The claims of one reaper process. A claim is compare-and-swapped: of many who try, one succeeds."""

    def __init__(self, cluster: Cluster, *, holder: str, timeout: float) -> None:
        self._cluster = cluster
        self._holder = holder
        self._timeout = timeout

    async def make(self, record: NamespaceRecord, *, reason: str, user_id: str, request_id: str) -> NamespaceRecord:
        """Claim a namespace that nobody has claimed; from then on it takes no work.

        Callers choose their request ids, and may repeat them: in the claim, and so in the audit record, the uid of the
        namespace follows.

        Raises Reaping (somebody has: the record says so), PreconditionFailed (it changed since it was read: decide
        again), NotFound, Unavailable.
        """
        if read_claim(record) is not None:
            raise held_by(record)
        now = await self._cluster.now()
        claim = Claim(
            holder=self._holder,
            reason=reason,
            user_id=user_id,
            request_id=f"{request_id}-{record.uid}",
            started_at=now,
            renewed=("", ""),
            archive=f"{record.bucket_id}/{archive_timestamp(now)}",
            volumes=await self.bound_volumes(record.name),
        )
        return await self._cluster.patch_namespace(record, annotations=write_claim(claim, now), add_finalizer=FINALIZER)

    async def take_over(self, record: NamespaceRecord) -> NamespaceRecord:
        """Become the holder of a claim, which goes on as it was; what is missing of it is filled in.

        Raises PreconditionFailed (somebody else was faster, or the holder lives), NotFound, Unavailable.
        """
        now = await self._cluster.now()
        old = read_claim(record)
        if old is None:
            raise Reaping(f"namespace {record.name} is not claimed any more: plan again")
        claim = msgspec.structs.replace(
            old,
            holder=self._holder,
            reason=old.reason or "claimed before",
            archive=old.archive or f"{record.bucket_id}/{archive_timestamp(now)}",
            volumes=(*old.volumes, *await self.bound_volumes(record.name)),
        )
        # A terminating object takes no new finalizers, so one that lost ours goes as it is.
        missing = FINALIZER not in record.finalizers and not record.terminating
        return await self._cluster.patch_namespace(
            record, annotations=write_claim(claim, now), add_finalizer=FINALIZER if missing else None
        )

    async def watch(self, record: NamespaceRecord) -> NamespaceRecord | None:
        """Wait until a claim is free to be taken over; None when its namespace is gone meanwhile.

        A claim is free when it was given back, is our own, or stays unchanged for the timeout by our own clock.
        Raises Reaping as soon as the holder shows that it lives, Unavailable.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._timeout
        first = read_claim(record)
        while first is not None and first.holder not in {"", self._holder}:
            left = end - loop.time()
            if left <= 0:
                return record
            await asyncio.sleep(min(left, self._timeout / _WATCHES))
            fresh = await self._read(record)
            if fresh is None:
                return None
            record, claim = fresh, read_claim(fresh)
            if claim is None or claim.holder == "":
                return record
            if (claim.holder, claim.renewed) != (first.holder, first.renewed):
                raise held_by(record)
        return record

    async def bound_volumes(self, namespace: str) -> tuple[str, ...]:
        """Name the volumes that are bound to a namespace's volume claims."""
        return tuple(claim.volume for claim in await self._cluster.list_volume_claims(namespace) if claim.volume)

    async def _read(self, record: NamespaceRecord) -> NamespaceRecord | None:
        try:
            fresh = await self._cluster.get_namespace(record.name)
        except NotFound:
            return None
        return fresh if fresh.uid == record.uid else None


def held_by(record: NamespaceRecord) -> Reaping:
    """The error of everybody who does not hold a namespace's claim: who does."""
    claim = read_claim(record)
    holder = claim.holder if claim is not None and claim.holder else "another reaper"
    return Reaping(f"namespace {record.name} is being reaped by {holder}: it will be gone in a minute")
