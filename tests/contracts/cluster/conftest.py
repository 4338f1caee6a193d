"""One harness for all tests of an adapter, and a namespace for each test."""

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from contracts.cluster_harness import ADAPTERS, Harness, Place, new_name, open_harness

from livecalc.domain.errors import NotFound


@pytest.fixture(scope="package", params=ADAPTERS)
async def harness(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    async with open_harness(request.param, tmp_path_factory.mktemp("cluster")) as harness:
        yield harness


@pytest.fixture
async def place(harness: Harness) -> AsyncIterator[Place]:
    place = Place(harness, new_name())
    await harness.cluster.create_namespace(place.name, labels={"app": "livecalc"}, annotations={})
    yield place
    with suppress(NotFound):
        await place.delete()
