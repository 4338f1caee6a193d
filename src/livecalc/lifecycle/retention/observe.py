"""Look at the namespaces, and at all that every tenant has in the store; decides nothing."""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct

from livecalc.audit.log import AuditLog
from livecalc.blobs.port import BlobStore
from livecalc.cluster.port import Cluster, NamespaceList
from livecalc.domain.buckets import NAMESPACE_PREFIX
from livecalc.domain.claims import read_claim
from livecalc.domain.errors import LivecalcError, NotFound
from livecalc.domain.namespaces import LABELS, NamespaceRecord
from livecalc.domain.shelves import bundle_shelf, regulatory_container, result_shelf
from livecalc.domain.tenants import tenant_key
from livecalc.lifecycle.archive.places import standard_container
from livecalc.lifecycle.retention.holds import read_holds
from livecalc.lifecycle.retention.look import see_archives, see_bundles, see_jobs
from livecalc.lifecycle.retention.marks import Marks
from livecalc.lifecycle.retention.seen import TenantSeen


class Observation(Struct, frozen=True, kw_only=True):
    """All that a plan is made from."""

    tenants: tuple[TenantSeen, ...]
    now: datetime
    """The cluster's time when the look was begun."""
    skew: timedelta
    """How far the own clock was ahead of it."""
    complete: bool
    """Whether all namespaces are known."""
    problems: tuple[str, ...] = ()
    """Tenants that could not be looked at; nothing of theirs is deleted."""


async def observe(  # noqa: PLR0913  (three ports, and how they are looked at)
    cluster: Cluster,
    blobs: BlobStore,
    audit: AuditLog,
    prefix: str,
    own_clock: Callable[[], datetime],
    *,
    tenant: str | None = None,
) -> Observation:
    """Look at all tenants, or at the one with a key. Raises NotFound for one that has nothing, Unavailable."""
    now = await cluster.now()
    skew = own_clock() - now
    # The namespaces first: one that is reaped meanwhile still counts as there, and its jobs are not without an archive.
    namespaces = await cluster.list_namespaces(LABELS)
    seen: list[TenantSeen] = []
    problems: list[str] = []
    keys = await _tenants(blobs, prefix)
    if tenant is not None and tenant not in keys:
        raise NotFound(
            f"no tenant {tenant[:60]!r} has anything in the store: give a tenant's key, or leave it out for all"
        )
    for key in keys if tenant is None else [tenant]:
        try:
            seen.append(await _see(blobs, audit, prefix, key, namespaces))
        except LivecalcError as error:
            problems.append(f"tenant {key} could not be looked at, so nothing of it is deleted: {error.detail}")
    return Observation(tenants=tuple(seen), now=now, skew=skew, complete=namespaces.complete, problems=tuple(problems))


async def _tenants(blobs: BlobStore, prefix: str) -> list[str]:
    """The keys of all tenants that have a container."""
    starts = (
        standard_container(prefix, ""),
        result_shelf("").container,
        bundle_shelf("").container,
        regulatory_container(""),
    )
    keys = {name.removeprefix(start) for start in starts for name in await blobs.list_containers(start)}
    return sorted(key for key in keys if key)


async def _see(blobs: BlobStore, audit: AuditLog, prefix: str, key: str, namespaces: NamespaceList) -> TenantSeen:
    own = [record for record in namespaces.items if is_of(record, key)]
    claims = [claim for record in own if (claim := read_claim(record)) is not None]
    buckets = frozenset(record.name.removeprefix(NAMESPACE_PREFIX) for record in own)
    # Marks and holds first: a deletion that ends meanwhile is then seen twice, not missed.
    marks, damaged = await Marks(blobs, key).read()
    holds = await read_holds(blobs, key)
    archives = await see_archives(blobs, prefix, key)
    jobs = await see_jobs(blobs, key)
    said = [each.tenant_id for each in (*archives, *jobs) if each.tenant_id is not None]
    said.append(await audit.owner(key) or "")
    tenant_id = next((each for each in (key, *said) if tenant_key(each) == key), None)
    return TenantSeen(
        key=key,
        tenant_id=tenant_id,
        buckets=buckets,
        claimed=frozenset(claim.archive for claim in claims),
        holds=tuple(holds),
        archives=tuple(archives),
        jobs=tuple(jobs),
        bundles=tuple(await see_bundles(blobs, key)),
        marks=tuple(marks),
        problems=tuple(damaged),
    )


def is_of(record: NamespaceRecord, key: str) -> bool:
    """Tell whether a namespace is the tenant's with this key; one that names no tenant may be anybody's."""
    return record.tenant_key in {"", key}
