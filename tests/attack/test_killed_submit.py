"""A submitter killed at every step, also of a submit that fails anyway; see `support.submitted` for what must hold."""

from pathlib import Path

import pytest
from attack.support.crew import Crew, choose
from attack.support.homes import new_site
from attack.support.steps import Death
from attack.support.submitted import check, compute

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
SEED = 20_260_126


@pytest.mark.parametrize("flow", ["submit", "failing submit"])
async def test_killed_at_every_step(crew: Crew, tmp_path: Path, flow: str) -> None:
    fresh = new_site(tmp_path / "fresh")
    result_hash = await compute(fresh.copy(tmp_path / "computed"))
    await crew.count(flow, fresh.copy(tmp_path / "counted").home)
    deaths = choose(flow, SEED)

    async def attempt(death: Death) -> None:
        site = fresh.copy(tmp_path / f"{death.instant}-{death.step}")
        await crew.kill(flow, site.home, death)
        await check(crew, site, result_hash)
        site.remove()

    await crew.each(deaths, attempt)
