"""Wait until a deleted namespace is gone with all in it, and name what stays; changes nothing."""

from collections.abc import Iterator

from livecalc.cluster.port import Cluster, VolumeRecord
from livecalc.domain.errors import NotFound
from livecalc.domain.namespaces import FINALIZER, NamespaceRecord
from livecalc.lifecycle.hold import Hold
from livecalc.lifecycle.pauses import pauses


async def wait_for_content(cluster: Cluster, hold: Hold, seconds: float) -> list[str]:
    """Wait until only our finalizer keeps a deleted namespace; else what keeps it after `seconds`."""
    blockers: list[str] = []
    async for _ in pauses(seconds):
        await hold.refresh()
        blockers = [] if hold.gone else await _blockers(cluster, hold.record)
        if not blockers:
            break
    return blockers


async def wait_for_volumes(cluster: Cluster, hold: Hold, seconds: float) -> list[str]:
    """Name the volumes of a deleted namespace that are still there, at the latest after `seconds`."""
    names = set(hold.claim.volumes)
    left: list[VolumeRecord] = []
    if names:
        async for _ in pauses(seconds):
            left = [each for each in await cluster.list_volumes() if each.name in names and _is_of(each, hold.record)]
            if not any(map(_may_still_go, left)):
                break
    return [_describe(volume) for volume in left]


async def wait_until_gone(cluster: Cluster, record: NamespaceRecord, seconds: float) -> list[str]:
    """Wait until a namespace without our finalizer is gone; what keeps it after `seconds`."""
    blockers: list[str] = []
    async for _ in pauses(seconds):
        try:
            fresh = await cluster.get_namespace(record.name)
        except NotFound:
            return []
        if fresh.uid != record.uid:
            return []
        blockers = [*fresh.blockers, *_finalizers(fresh)] or ["the cluster does not say why"]
    return blockers


async def _blockers(cluster: Cluster, record: NamespaceRecord) -> list[str]:
    if not record.content_gone:
        return [*record.blockers, *_finalizers(record)] or ["its content is still being removed"]
    claims = await cluster.list_volume_claims(record.name)
    pods = await cluster.list_pods(record.name)
    return [
        *(f"volume claim {claim.name} is still there" for claim in claims),
        *(f"pod {pod.name} is still there" for pod in pods),
        *_finalizers(record),
    ]


def _finalizers(record: NamespaceRecord) -> Iterator[str]:
    return (f"finalizer {name} is not ours to clear" for name in record.finalizers if name != FINALIZER)


def _is_of(volume: VolumeRecord, record: NamespaceRecord) -> bool:
    return not volume.claim or volume.claim.startswith(f"{record.name}/")


def _may_still_go(volume: VolumeRecord) -> bool:
    return volume.reclaim_policy == "Delete" and volume.phase != "Failed"


def _describe(volume: VolumeRecord) -> str:
    claim = volume.claim.partition("/")[2]
    return f"volume {volume.name} of claim {claim or '?'} ({volume.reclaim_policy}, {volume.phase})"
