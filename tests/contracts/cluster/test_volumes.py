"""What every cluster must do with volume claims: bind them, and say what outlives the namespace, or keeps it."""

import pytest
from contracts.cluster_harness import Place

from livecalc.cluster.port import VolumeClaimRecord, VolumeRecord
from livecalc.domain.namespaces import NamespaceRecord

pytestmark = pytest.mark.anyio

FOREIGN = "example.com/hold"


async def test_a_claim_is_bound_to_a_volume(place: Place) -> None:
    await place.harness.create_claim(place.name, "data")

    claim = await bound(place, "data")
    volume = await volume_of(place, claim)

    assert claim.namespace == place.name
    assert claim.uid
    assert volume is not None
    assert volume.phase == "Bound"
    assert volume.claim == f"{place.name}/data"
    assert volume.reclaim_policy == "Delete"


async def test_claims_are_listed_by_name(place: Place) -> None:
    for name in ("b", "c", "a"):
        await place.harness.create_claim(place.name, name)

    assert [claim.name for claim in await place.cluster.list_volume_claims(place.name)] == ["a", "b", "c"]
    volumes = [volume.name for volume in await place.cluster.list_volumes()]
    assert volumes == sorted(volumes)


async def test_claim_and_volume_go_with_the_namespace(place: Place) -> None:
    await place.harness.create_claim(place.name, "data")
    claim = await bound(place, "data")

    await place.delete()
    await place.soon(place.is_gone)

    assert await place.cluster.list_volume_claims(place.name) == []
    await place.soon(lambda: _is_gone(place, claim))


async def test_a_retained_volume_outlives_its_namespace(place: Place) -> None:
    await place.harness.create_claim(place.name, "data", retain=True)
    claim = await bound(place, "data")

    await place.delete()
    await place.soon(place.is_gone)
    survivor = await place.soon(lambda: _released(place, claim))

    assert survivor.reclaim_policy == "Retain"
    assert survivor.claim == f"{place.name}/data"
    await place.harness.remove_volume(claim.volume)
    await place.soon(lambda: _is_gone(place, claim))


async def test_a_finalizer_on_a_claim_keeps_the_namespace_and_is_named(place: Place) -> None:
    await place.harness.create_claim(place.name, "held", finalizer=FOREIGN)
    await place.harness.create_claim(place.name, "free")
    held = await bound(place, "held")
    await bound(place, "free")
    await place.delete()

    record = await place.soon(lambda: _blocked(place))

    assert record.terminating
    assert not record.content_gone
    assert any("NamespaceFinalizersRemaining" in sentence and FOREIGN in sentence for sentence in record.blockers)
    assert any("NamespaceContentRemaining" in sentence for sentence in record.blockers)
    await place.soon(lambda: _only_claim(place, held))
    assert await volume_of(place, held) is not None

    await place.harness.remove_claim_finalizer(place.name, "held", FOREIGN)
    await place.soon(place.is_gone)
    await place.soon(lambda: _is_gone(place, held))


async def bound(place: Place, name: str) -> VolumeClaimRecord:
    return await place.soon(lambda: _bound(place, name))


async def _bound(place: Place, name: str) -> VolumeClaimRecord | None:
    claims = await place.cluster.list_volume_claims(place.name)
    return next((claim for claim in claims if claim.name == name and claim.phase == "Bound" and claim.volume), None)


async def volume_of(place: Place, claim: VolumeClaimRecord) -> VolumeRecord | None:
    return next((volume for volume in await place.cluster.list_volumes() if volume.name == claim.volume), None)


async def _is_gone(place: Place, claim: VolumeClaimRecord) -> bool:
    return await volume_of(place, claim) is None


async def _released(place: Place, claim: VolumeClaimRecord) -> VolumeRecord | None:
    volume = await volume_of(place, claim)
    return volume if volume is not None and volume.phase == "Released" else None


async def _blocked(place: Place) -> NamespaceRecord | None:
    record = await place.record()
    return record if record.blockers else None


async def _only_claim(place: Place, claim: VolumeClaimRecord) -> bool:
    return [other.name for other in await place.cluster.list_volume_claims(place.name)] == [claim.name]
