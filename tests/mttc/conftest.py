from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from support.platforms import platform_at

from livecalc.services import Platform


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncGenerator[Platform, None]:
    async with platform_at(tmp_path / "home") as opened:
        yield opened
