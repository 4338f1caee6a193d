"""A cleanup worker killed at every step of a reap: the next sweep finishes it, with one archive and one audit of each."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from attack.support.crew import Crew, choose
from attack.support.flows import ANA, HASTY, platform_at
from attack.support.homes import (
    FOREIGN,
    NAMESPACE,
    Blobs,
    Site,
    audited,
    leftovers,
    list_all,
    manifest_of,
    populate,
    used_site,
)
from attack.support.steps import Death
from livecalc.lifecycle.manifest import Manifest
from livecalc.wire.jobs import Job, Result

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
STEPS = 59
"""Calls of ports that a sweep makes which reaps one bucket with a job of two pods, a foreign pod, and a volume."""
SEED = 20_260_125


@dataclass(frozen=True)
class Prepared:
    """A finalized bucket, and what must be true of it once it is reaped."""

    site: Site
    job: Job
    result: Result
    results: dict[str, str]
    manifest: Manifest
    audit: Counter[tuple[str, str]]


async def prepare(folder: Path, crew: Crew) -> Prepared:
    """Finalize a bucket, and let a copy of it be reaped by somebody whom nobody kills."""
    async with used_site(folder / "template", partitions=2) as (site, platform, job):
        await populate(site.home)
        await platform.namespaces.finalize_namespace(ANA, NAMESPACE, force=False, request_id="finalize")
        results = (await list_all(platform.blobs)).of("results")
        result = await platform.jobs.result(ANA, job.job_id)
    whole = site.copy(folder / "whole")
    await crew.count("reap", whole.home, STEPS)
    async with platform_at(whole.home, policy=HASTY) as platform:
        prepared = Prepared(site, job, result, results, await manifest_of(platform), await audited(platform))
    assert await leftovers(whole, crew) == []
    return prepared


async def check(crew: Crew, site: Site, prepared: Prepared) -> None:
    async with platform_at(site.home, policy=HASTY) as platform:
        report = await platform.reaper.sweep()
        assert report.clean, report
        assert not (await platform.reaper.plan()).entries
        assert not await platform.cluster.list_volumes()
        assert logs(await manifest_of(platform)) == logs(prepared.manifest)
        assert await audited(platform) == prepared.audit
        blobs: Blobs = await list_all(platform.blobs)
        assert blobs.of("results") == prepared.results
        job = await platform.jobs.get(ANA, prepared.job.job_id)
        assert (job.state, job.result_hash) == ("succeeded", prepared.job.result_hash)
        assert job.archive is not None
        assert await platform.jobs.result(ANA, job.job_id) == prepared.result
        # The next writer takes away what a killed one had begun to write.
        await platform.namespaces.create_namespace(ANA, "next", request_id="next")
    assert await leftovers(site, crew) == []


def logs(manifest: Manifest) -> list[tuple[str, str, str, str | None, str]]:
    return [(pod.name, log.state, log.source, log.sha256, log.note) for pod in manifest.pods for log in pod.containers]


async def test_killed_at_every_step_of_a_reap(crew: Crew, tmp_path: Path) -> None:
    prepared = await prepare(tmp_path, crew)
    assert prepared.audit["reap", "intent"] == prepared.audit["reap", "outcome"] == 1
    assert [(pod, state) for pod, state, *_ in logs(prepared.manifest)][0] == (FOREIGN, "unknown")
    deaths = choose(STEPS, SEED)
    print(f"reap: {STEPS} steps, {len(deaths)} deaths, seed {SEED}")  # noqa: T201  (the attack's figures)

    async def attempt(death: Death) -> None:
        site = prepared.site.copy(tmp_path / f"{death.instant}-{death.step}")
        await crew.kill("reap", site.home, death)
        await check(crew, site, prepared)
        site.remove()

    await crew.each(deaths, attempt)
