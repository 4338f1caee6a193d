"""A recomputation killed at every step: a later sweep removes all of it, the original stays as it was, and still matches."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from support.waiting import eventually

from attack.support.crew import Crew, choose
from attack.support.flows import ANA, HASTY, platform_at, recompute
from attack.support.homes import NAMESPACE, Site, audited, leftovers, list_all, used_site
from attack.support.steps import Death
from livecalc.services import Platform
from livecalc.wire.jobs import Job

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
STEPS = 73
"""Calls of ports that a recomputation of a job with one partition makes."""
SEED = 20_260_127
ORIGINAL = ("bundles", "diagnostics", "results")


@dataclass(frozen=True)
class Prepared:
    """A bucket that was reaped, and the blobs that are left of it."""

    site: Site
    job: Job
    blobs: dict[str, dict[str, str]]


async def prepare(folder: Path, crew: Crew) -> Prepared:
    async with used_site(folder / "template", partitions=1) as (site, platform, job):
        await platform.namespaces.finalize_namespace(ANA, NAMESPACE, force=False, request_id="finalize")
        report = await platform.reaper.sweep()
        assert (report.successful, report.clean) == (1, True), report
        job = await platform.jobs.get(ANA, job.job_id)
        blobs = await list_all(platform.blobs)
    whole = site.copy(folder / "whole")
    await crew.count("recompute", whole.home, STEPS)
    return Prepared(site, job, {kind: blobs.of(kind) for kind in ORIGINAL})


async def check(crew: Crew, site: Site, prepared: Prepared) -> None:
    async with platform_at(site.home, policy=HASTY) as platform:
        await sweep_until_nothing_is_left(platform)
        assert await unchanged(platform, prepared) in (0, 1)
        before = await platform.jobs.get(ANA, prepared.job.job_id)
        await recompute(platform, site.home)
        job = await platform.jobs.get(ANA, prepared.job.job_id)
        assert [each.match for each in job.recomputations] == [True] * (len(before.recomputations) + 1)
        assert await unchanged(platform, prepared) == len(job.recomputations)
        assert not (await platform.cluster.list_namespaces({})).items
        assert [each.job_id for each in await platform.jobs.list_jobs(ANA)] == [prepared.job.job_id]
        counts = await audited(platform)
        assert counts["reap", "intent"] == counts["reap", "outcome"]
    assert await leftovers(site, crew) == []


async def sweep_until_nothing_is_left(platform: Platform) -> None:
    """Sweep again and again, as the platform does, until no namespace is left; what still computes is kept."""

    async def empty() -> bool:
        report = await platform.reaper.sweep()
        assert report.clean, report
        return not (await platform.cluster.list_namespaces({})).items

    await eventually(empty, within=60, every=0.2)


async def unchanged(platform: Platform, prepared: Prepared) -> int:
    """See that nothing is there but what was before, and recorded recomputations; returns how many of these."""
    blobs = await list_all(platform.blobs)
    before = {(kind, name): digest for kind in ORIGINAL for name, digest in prepared.blobs[kind].items()}
    now = {(kind, name): digest for kind in ORIGINAL for name, digest in blobs.of(kind).items()}
    assert before.items() <= now.items()
    more = sorted(name for _, name in now.keys() - before.keys())
    assert [name for name in more if not name.startswith(f"jobs/{prepared.job.job_id}/recomputed/")] == []
    return len(more)


async def test_killed_at_every_step_of_a_recomputation(crew: Crew, tmp_path: Path) -> None:
    prepared = await prepare(tmp_path, crew)
    deaths = choose(STEPS, SEED)
    print(f"recomputation: {STEPS} steps, {len(deaths)} deaths, seed {SEED}")  # noqa: T201  (the attack's figures)

    async def attempt(death: Death) -> None:
        site = prepared.site.copy(tmp_path / f"{death.instant}-{death.step}")
        await crew.kill("recompute", site.home, death)
        await check(crew, site, prepared)
        site.remove()

    await crew.each(deaths, attempt)
