"""One harness for all tests of an adapter, and a namespace for each test."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
from contracts.cluster_harness import ADAPTERS, Harness, Place, new_name

from livecalc.domain.errors import NotFound


@pytest.fixture(scope="package", params=ADAPTERS)
def harness(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    harness = ADAPTERS[request.param](tmp_path_factory.mktemp("cluster"))
    yield harness
    harness.close()


@pytest.fixture
async def place(harness: Harness) -> AsyncIterator[Place]:
    place = Place(harness, new_name())
    await harness.cluster.create_namespace(place.name, labels={"app": "livecalc"}, annotations={})
    yield place
    with suppress(NotFound):
        await place.delete()
