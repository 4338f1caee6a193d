"""Whoever looks at a job that has ended is killed while recording that: the next one records it, once and whole."""

from pathlib import Path

import pytest
from attack.support.crew import Crew, choose
from attack.support.flows import ANA, BUCKET, platform_at, submit
from attack.support.homes import NAMESPACE, Site, at_rest, leftovers, list_all, new_site
from attack.support.steps import Death
from support.waiting import eventually

from livecalc.services import Platform

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
SEED = 20_260_128


async def prepare(folder: Path) -> Site:
    """A site whose job has ended, and nobody knows."""
    site = new_site(folder)
    async with platform_at(site.home) as platform:
        await submit(platform, site.home)
        await eventually(lambda: has_ended(platform))
    await at_rest(site)
    return site


async def has_ended(platform: Platform) -> bool:
    [job] = await platform.cluster.list_jobs(NAMESPACE)
    return job.state == "succeeded"


async def check(crew: Crew, site: Site) -> str | None:
    async with platform_at(site.home) as platform:
        [job] = await platform.jobs.list_jobs(ANA, bucket_id=BUCKET)
        assert job.state == "succeeded"
        kept = (await list_all(platform.blobs)).of("results")
        kinds = sorted(name.split("/")[2] for name in kept if name.startswith("jobs/"))
        assert kinds == ["finished.json", "logs", "partitions", "submitted.json"]
    assert [path for path in await leftovers(site, crew) if "/pods/" not in path] == []
    return job.result_hash


async def test_killed_at_every_step_of_collecting(crew: Crew, tmp_path: Path) -> None:
    template = await prepare(tmp_path / "template")
    whole = template.copy(tmp_path / "whole")
    await crew.count("collect", whole.home)
    result_hash = await check(crew, whole)
    deaths = choose("collect", SEED)

    async def attempt(death: Death) -> None:
        site = template.copy(tmp_path / f"{death.instant}-{death.step}")
        await crew.kill("collect", site.home, death)
        assert await check(crew, site) == result_hash
        site.remove()

    await crew.each(deaths, attempt)
