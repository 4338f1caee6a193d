"""A recomputation killed at every step: a later sweep removes all of it, and the original is as it was, and matches."""

from pathlib import Path

import pytest
from attack.support.crew import Crew, choose
from attack.support.recomputed import check, prepare
from attack.support.steps import Death

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
SEED = 20_260_127


async def test_killed_at_every_step_of_a_recomputation(crew: Crew, tmp_path: Path) -> None:
    prepared = await prepare(tmp_path)
    await crew.count("recompute", prepared.site.copy(tmp_path / "counted").home)
    deaths = choose("recompute", SEED)

    async def attempt(death: Death) -> None:
        site = prepared.site.copy(tmp_path / f"{death.instant}-{death.step}")
        await crew.kill("recompute", site.home, death)
        await check(crew, site, prepared)
        site.remove()

    await crew.each(deaths, attempt)
