"""Namespaces: read, list, change under preconditions, begin to delete."""

import asyncio
from collections.abc import Mapping

from msgspec import structs

from livecalc.cluster.kubernetes import failures
from livecalc.cluster.kubernetes.api import Answer, Api, Call
from livecalc.cluster.kubernetes.objects import Namespace
from livecalc.cluster.kubernetes.pages import read_list
from livecalc.cluster.kubernetes.targets import NAMESPACES
from livecalc.cluster.port import NamespaceList
from livecalc.domain.errors import InvalidInput, NotFound, PreconditionFailed
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.receipts import ArchiveReceipt, ArchiveWaiver

_BLOCKING = frozenset(
    {
        "NamespaceDeletionDiscoveryFailure",
        "NamespaceDeletionGroupVersionParsingFailure",
        "NamespaceDeletionContentFailure",
        "NamespaceContentRemaining",
        "NamespaceFinalizersRemaining",
    }
)
"""The conditions of a terminating namespace that say what keeps it (k8s.io/api/core/v1)."""
_BUSY_TRIES = 10
_BUSY_SECONDS = 0.05
_FINALIZERS = "finalizers"
_WITHOUT = "$deleteFromPrimitiveList/finalizers"
"""What a strategic merge patch calls the members to take from a list (sig-api-machinery/strategic-merge-patch.md)."""


def namespace_record(namespace: Namespace) -> NamespaceRecord:
    """The port's record of a Namespace."""
    meta = namespace.metadata
    terminating = meta.deletion_timestamp is not None
    return NamespaceRecord(
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
        labels=meta.labels,
        annotations=meta.annotations,
        finalizers=meta.finalizers,
        created_at=meta.creation_timestamp,
        deletion_timestamp=meta.deletion_timestamp,
        content_gone=terminating and not namespace.spec.finalizers,
        blockers=_blockers(namespace) if terminating else (),
    )


async def get_namespace(api: Api, name: str) -> NamespaceRecord:
    """Read one. Raises NotFound."""
    answer = await api.send(Call(verb="get", target=NAMESPACES.at(name)))
    return namespace_record(answer.read(Namespace))


async def list_namespaces(api: Api, labels: Mapping[str, str]) -> NamespaceList:
    """All that carry these labels, by name; not complete when a page but the first could not be read."""
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    listing = await read_list(api, NAMESPACES, Namespace, labels=selector)
    items = sorted(map(namespace_record, listing.items), key=lambda record: record.name)
    return NamespaceList(items=tuple(items), complete=listing.failure is None)


async def patch_namespace(
    api: Api,
    record: NamespaceRecord,
    annotations: Mapping[str, str | None],
    finalizers: tuple[str | None, str | None],
    *,
    any_version: bool,
) -> NamespaceRecord:
    """Change annotations and finalizers (one to add, one to remove). Raises as the port says.

    The server merges, and compares uid and version, in one step; it writes nothing when nothing changes.
    """
    call = Call(
        verb="patch",
        target=NAMESPACES.at(record.name),
        body={"metadata": _change(record, annotations, finalizers, any_version=any_version)},
    )
    answer = await api.send(call)
    for _ in range(_BUSY_TRIES if any_version else 0):
        if answer.status != failures.CONFLICT:
            break
        # Without a version the server merges anew by itself, and gives up after a few writers came between.
        await asyncio.sleep(_BUSY_SECONDS)
        answer = await api.send(call)
    if answer.status == failures.CONFLICT:
        return await _conflict(api, record, answer, annotations, finalizers)
    if answer.status == failures.NOT_FOUND and answer.doubtful and finalizers[1] is not None:
        return _changed(record, annotations, finalizers)
    return namespace_record(answer.read(Namespace))


async def delete_namespace(api: Api, record: NamespaceRecord, receipt: ArchiveReceipt | ArchiveWaiver) -> None:
    """Begin to delete. Raises as the port says."""
    if receipt.namespace_uid != record.uid:
        raise InvalidInput(f"the receipt is of another namespace than {record.name} ({record.uid})")
    body = {"preconditions": {"uid": record.uid, "resourceVersion": record.resource_version}}
    answer = await api.send(Call(verb="delete", target=NAMESPACES.at(record.name), body=body))
    if answer.status == failures.NOT_FOUND and answer.doubtful:
        return
    if answer.status == failures.CONFLICT:
        present = await _same(api, record)
        if answer.doubtful and present.terminating and not record.terminating:
            return
    answer.good()


def _change(
    record: NamespaceRecord,
    annotations: Mapping[str, str | None],
    finalizers: tuple[str | None, str | None],
    *,
    any_version: bool,
) -> dict[str, object]:
    """The metadata of a strategic merge patch: a uid and a version in it are preconditions."""
    add, remove = finalizers
    change: dict[str, object] = {"uid": record.uid}
    if not any_version:
        change["resourceVersion"] = record.resource_version
    if annotations:
        change["annotations"] = annotations
    if add is not None:
        change[_FINALIZERS] = [add]
    if remove is not None:
        change[_WITHOUT] = [remove]
    return change


async def _conflict(
    api: Api,
    record: NamespaceRecord,
    answer: Answer,
    annotations: Mapping[str, str | None],
    finalizers: tuple[str | None, str | None],
) -> NamespaceRecord:
    """Tell another namespace, another's write, and the echo of our own, whose first answer was lost."""
    present = await _same(api, record)
    wanted = _changed(record, annotations, finalizers)
    same = present.annotations == wanted.annotations and set(present.finalizers) == set(wanted.finalizers)
    if answer.doubtful and same and present.terminating == record.terminating:
        return present
    raise PreconditionFailed(f"namespace {record.name} was changed since it was read; read it again")


async def _same(api: Api, record: NamespaceRecord) -> NamespaceRecord:
    """Read a namespace again. Raises NotFound also when it is another one by now."""
    present = await get_namespace(api, record.name)
    if present.uid != record.uid:
        raise NotFound(f"namespace {record.name} is another one now; the one that was read is gone")
    return present


def _changed(
    record: NamespaceRecord, annotations: Mapping[str, str | None], finalizers: tuple[str | None, str | None]
) -> NamespaceRecord:
    """The record as the patch leaves it, but for its version."""
    add, remove = finalizers
    merged = {**record.annotations, **annotations}
    kept = [each for each in record.finalizers if each != remove]
    return structs.replace(
        record,
        annotations={key: value for key, value in merged.items() if value is not None},
        finalizers=tuple(kept if add is None or add in kept else [*kept, add]),
    )


def _blockers(namespace: Namespace) -> tuple[str, ...]:
    return tuple(
        f"{each.type}: {each.message}" for each in namespace.status.conditions if each.holds and each.type in _BLOCKING
    )
