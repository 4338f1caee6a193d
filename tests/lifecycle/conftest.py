"""Every lifecycle test has a stage of its own; a module that says so plays on every blob store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lifecycle.stage import Stage, open_stage


@pytest.fixture
def store(request: pytest.FixtureRequest) -> str:
    """The adapter: the directory, unless `parametrize("store", ADAPTERS, indirect=True)` asks for others."""
    return str(getattr(request, "param", "directory"))


@pytest.fixture
async def stage(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    place = str(request.getfixturevalue("azurite")) if store == "azure" else ""
    async with open_stage(tmp_path, store, place) as opened:
        yield opened
