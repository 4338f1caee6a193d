"""Volume claims and volumes; we only look at them."""

from livecalc.cluster.kubernetes.api import Api
from livecalc.cluster.kubernetes.objects import Volume, VolumeClaim
from livecalc.cluster.kubernetes.pages import read_list
from livecalc.cluster.kubernetes.targets import VOLUMES, inside
from livecalc.cluster.port import VolumeClaimRecord, VolumeRecord


async def list_volume_claims(api: Api, namespace: str) -> list[VolumeClaimRecord]:
    """The claims of a namespace, by name."""
    listing = await read_list(api, inside(namespace, "persistentvolumeclaims"), VolumeClaim)
    return sorted(map(_claim, listing.whole()), key=lambda claim: claim.name)


async def list_volumes(api: Api) -> list[VolumeRecord]:
    """All volumes of the cluster, by name."""
    listing = await read_list(api, VOLUMES, Volume)
    return sorted(map(_volume, listing.whole()), key=lambda volume: volume.name)


def _claim(claim: VolumeClaim) -> VolumeClaimRecord:
    return VolumeClaimRecord(
        name=claim.metadata.name,
        uid=claim.metadata.uid,
        namespace=claim.metadata.namespace,
        phase=claim.status.phase,
        volume=claim.spec.volume_name,
    )


def _volume(volume: Volume) -> VolumeRecord:
    bound = volume.spec.claim_ref
    return VolumeRecord(
        name=volume.metadata.name,
        phase=volume.status.phase,
        claim=f"{bound.namespace}/{bound.name}" if bound else "",
        reclaim_policy=volume.spec.persistent_volume_reclaim_policy,
    )
