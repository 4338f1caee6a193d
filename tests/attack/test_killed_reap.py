"""A cleanup worker killed at every step of a reap: the next sweep finishes it, with one archive and each audit once."""

from functools import partial
from pathlib import Path

import pytest
from attack.support.crew import Crew, choose
from attack.support.reaped import check, prepare
from attack.support.steps import Death

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
STEPS = 60
"""Calls of ports that a sweep makes which reaps one bucket with a job of two pods, a foreign pod, and a volume."""
SEED = 20_260_125


async def test_killed_at_every_step_of_a_reap(crew: Crew, tmp_path: Path) -> None:
    prepared = await prepare(tmp_path, crew, partial(crew.count, "reap", expected=STEPS), finalize=True)
    deaths = choose(STEPS, SEED)
    print(f"reap: {STEPS} steps, {len(deaths)} deaths, seed {SEED}")  # noqa: T201  (the attack's figures)

    async def attempt(death: Death) -> None:
        site = prepared.site.copy(tmp_path / f"{death.instant}-{death.step}")
        await crew.kill("reap", site.home, death)
        await check(crew, site, prepared)
        site.remove()

    await crew.each(deaths, attempt)
