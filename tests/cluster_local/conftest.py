"""A local cluster of the test's own, whose node leaves soon, and a namespace in it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from contracts.cluster_harness import LocalHarness, Place, new_name


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[LocalHarness]:
    harness = LocalHarness(tmp_path)
    yield harness
    harness.close()


@pytest.fixture
async def place(harness: LocalHarness) -> AsyncIterator[Place]:
    place = Place(harness, new_name())
    await harness.cluster.create_namespace(place.name, labels={}, annotations={})
    yield place
    if not await place.is_gone():
        await place.delete()
        await place.soon(place.is_gone)
    await harness.cluster.close()
