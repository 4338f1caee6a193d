"""A cleanup worker killed at every step of a reap: the next sweep finishes it, with one archive and each audit once."""

import asyncio
import random
from functools import partial
from pathlib import Path

import pytest
from attack.support.crew import FULL, STEPS, Crew, choose
from attack.support.reaped import Prepared, check, prepare
from attack.support.steps import Death

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
CLAIMED = 5
"""The step that makes the claim."""
SEED = 20_260_125


@pytest.fixture(scope="module")
def prepared(crew: Crew, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A finalized bucket; the sweep that reaps a copy of it is counted."""
    folder = tmp_path_factory.mktemp("prepared")
    return asyncio.run(prepare(folder, crew, partial(crew.count, "reap"), finalize=True))


async def test_killed_at_every_step_of_a_reap(crew: Crew, prepared: Prepared, tmp_path: Path) -> None:
    deaths = choose("reap", SEED)

    async def attempt(death: Death) -> None:
        site = prepared.site.copy(tmp_path / f"{death.instant}-{death.step}")
        await crew.kill("reap", site.home, death)
        await check(crew, site, prepared)
        site.remove()

    await crew.each(deaths, attempt)


async def test_whoever_goes_on_with_it_is_killed_too(crew: Crew, prepared: Prepared, tmp_path: Path) -> None:
    chance = random.Random(SEED)  # noqa: S311  (a choice of tests)
    # Before the claim there is nothing to go on with.
    steps = chance.sample(range(CLAIMED, STEPS["reap"] + 1), 50 if FULL else 2)
    firsts = [Death(step=step, instant="after") for step in steps]
    seconds = {death: Death(step=chance.randrange(1, STEPS["reap"] - 20), instant="after") for death in firsts}
    print(f"reap, twice: {len(seconds)} pairs of deaths, seed {SEED}")  # noqa: T201  (the attack's figures)

    async def attempt(death: Death) -> None:
        site = prepared.site.copy(tmp_path / f"twice-{death.step}")
        await crew.kill("reap", site.home, death)
        # How far he comes depends on what the first one left to do.
        life = await crew.live("resume", site.home, seconds[death])
        assert life.killed or life.exit == 0
        await check(crew, site, prepared)
        site.remove()

    await crew.each(list(seconds), attempt)
