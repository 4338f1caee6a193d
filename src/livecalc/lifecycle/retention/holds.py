"""Legal holds: blobs that say that an archive, or everything of a bucket, is not to be deleted until they go."""

from contextlib import suppress

import msgspec

from livecalc.audit.log import AuditLog
from livecalc.blobs.port import BlobStore, read_all
from livecalc.blobs.streams import closing
from livecalc.cluster.port import Cluster
from livecalc.domain.buckets import is_bucket_id, namespace_name
from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from livecalc.domain.namespaces import belongs_to
from livecalc.domain.retention import Retention
from livecalc.domain.shelves import result_shelf
from livecalc.domain.tenants import Principal
from livecalc.domain.timestamps import format_timestamp
from livecalc.lifecycle.archive.places import bucket_places, is_archive_timestamp
from livecalc.lifecycle.retention.marks import Marks
from livecalc.records import paths
from livecalc.wire.retention import Hold

_REASON_LENGTH = 1000
_ALL = "all"


class Holds:
    """The holds of all tenants; every method is scoped by the caller's, and changes are audited or do not happen."""

    def __init__(self, *, cluster: Cluster, blobs: BlobStore, audit: AuditLog, prefix: str) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._audit = audit
        self._prefix = prefix

    async def list_holds(self, principal: Principal) -> list[Hold]:
        """All holds, by bucket and archive. Raises Unavailable."""
        return await read_holds(self._blobs, principal.tenant_key)

    async def place(
        self, principal: Principal, bucket_id: str, timestamp: str | None, *, reason: str, request_id: str
    ) -> Hold:
        """Hold an archive, or everything of a bucket.

        Raises InvalidInput, NotFound, AlreadyExists, Conflict (its deletion has begun), Unavailable.
        """
        _check(bucket_id, timestamp)
        why = " ".join(reason.split())
        if not why or len(why) > _REASON_LENGTH:
            raise InvalidInput(f"a hold needs a reason of 1 to {_REASON_LENGTH} characters, for whoever finds it later")
        await self._see_it_there(principal, bucket_id, timestamp)
        hold = Hold(
            bucket_id=bucket_id,
            timestamp=timestamp,
            reason=why,
            held_by=principal.user_id,
            held_at=format_timestamp(await self._cluster.now()),
        )
        async with self._audit.operation(
            principal=principal,
            operation="retention-hold",
            request_id=request_id,
            bucket_id=bucket_id,
            detail={"timestamp": timestamp, "reason": why},
            required=True,
        ):
            await self._write(principal, hold)
        return hold

    async def release(self, principal: Principal, bucket_id: str, timestamp: str | None, *, request_id: str) -> Hold:
        """Take a hold away; what it held goes when its retention has ended. Raises NotFound, Unavailable."""
        _check(bucket_id, timestamp)
        found = await read_holds(self._blobs, principal.tenant_key, bucket_id)
        hold = next((each for each in found if each.timestamp == timestamp), None)
        if hold is None:
            raise NotFound(
                f"there is no hold on {_called(bucket_id, timestamp)}: `livecalc retention holds` lists them"
            )
        async with self._audit.operation(
            principal=principal,
            operation="retention-release",
            request_id=request_id,
            bucket_id=bucket_id,
            detail={"timestamp": timestamp, "held_by": hold.held_by, "held_at": hold.held_at, "reason": hold.reason},
            required=True,
        ):
            container = result_shelf(principal.tenant_key).container
            with suppress(NotFound):  # it was there a moment ago: the answer to a first try was lost
                await self._blobs.delete(container, paths.hold(bucket_id, timestamp))
        return hold

    async def _write(self, principal: Principal, hold: Hold) -> None:
        container = result_shelf(principal.tenant_key).container
        name = paths.hold(hold.bucket_id, hold.timestamp)
        try:
            await self._blobs.write(container, name, msgspec.json.format(msgspec.json.encode(hold), indent=1))
        except AlreadyExists:
            called = _called(hold.bucket_id, hold.timestamp)
            raise AlreadyExists(f"{called} is held already: `livecalc retention holds` says by whom") from None
        # A run of retention marks first and looks for holds then: of the two, at least one sees the other. One that
        # is done meanwhile has left no mark, and no archive either.
        try:
            await self._refuse_begun(principal.tenant_key, hold)
            await self._see_it_there(principal, hold.bucket_id, hold.timestamp)
        except (Conflict, NotFound):
            with suppress(NotFound):
                await self._blobs.delete(container, name)
            raise

    async def _refuse_begun(self, tenant_key: str, hold: Hold) -> None:
        marks, _ = await Marks(self._blobs, tenant_key).read()
        for mark in marks:
            target = mark.target
            if target.bucket_id == hold.bucket_id and (
                hold.timestamp is None if target.place is None else hold.covers(target.place.path)
            ):
                raise Conflict(
                    f"{_called(hold.bucket_id, hold.timestamp)} cannot be held: its retention has ended, and the "
                    f"deletion of {target.name} began at {mark.started_at}"
                )

    async def _see_it_there(self, principal: Principal, bucket_id: str, timestamp: str | None) -> None:
        key = principal.tenant_key
        path = bucket_id if timestamp is None else f"{bucket_id}/{timestamp}"
        places = [(place.container, place.folder) for place in bucket_places(self._prefix, key, path)]
        if timestamp is None:
            shelves = [result_shelf(key, retention) for retention in Retention]
            places += [(shelf.container, shelf.blob(paths.bucket_prefix(bucket_id))) for shelf in shelves]
        for container, prefix in places:
            async with closing(self._blobs.list_blobs(container, prefix)) as listing:
                async for _ in listing:
                    return
        if timestamp is None and await self._has_namespace(principal, bucket_id):
            return
        raise NotFound(f"there is no {'bucket' if timestamp is None else 'archive'} {path}")

    async def _has_namespace(self, principal: Principal, bucket_id: str) -> bool:
        try:
            return belongs_to(await self._cluster.get_namespace(namespace_name(bucket_id)), principal)
        except NotFound:
            return False


async def read_holds(blobs: BlobStore, tenant_key: str, bucket_id: str | None = None) -> list[Hold]:
    """Read the holds on a bucket, or all of a tenant's. One that cannot be read still holds. Raises Unavailable."""
    container = result_shelf(tenant_key).container
    prefix = paths.HOLDS if bucket_id is None else paths.hold_prefix(bucket_id)
    names = [info.name async for info in blobs.list_blobs(container, prefix)]
    found: list[Hold] = []
    for name in names:
        try:
            raw = await read_all(blobs, container, name)
        except NotFound:
            continue
        bucket, _, timestamp = name.removeprefix(paths.HOLDS).partition("/")
        what = None if timestamp == _ALL else timestamp
        try:
            hold = decode_json(raw, Hold)
        except msgspec.DecodeError:
            hold = Hold(bucket_id=bucket, reason="what this hold says cannot be read", held_by="unknown", held_at="")
        found.append(msgspec.structs.replace(hold, bucket_id=bucket, timestamp=what))
    return found


def _check(bucket_id: str, timestamp: str | None) -> None:
    if not is_bucket_id(bucket_id):
        raise InvalidInput(f"{bucket_id[:60]!r} is no bucket id")
    if timestamp is not None and not is_archive_timestamp(timestamp):
        raise InvalidInput(f"{timestamp[:60]!r} is no archive's timestamp: it looks like 20260126-010504")


def _called(bucket_id: str, timestamp: str | None) -> str:
    return f"bucket {bucket_id}" if timestamp is None else f"archive {bucket_id}/{timestamp}"
