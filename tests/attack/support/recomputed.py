"""What must be true of a site after a recomputation was cut off: sweeps remove all of it, and the original matches."""

from pathlib import Path

from attack.support.crew import Crew
from attack.support.flows import ANA, HASTY, platform_at, recompute
from attack.support.homes import NAMESPACE, Site, audited, leftovers, list_all, used_site
from msgspec import Struct
from support.waiting import eventually

from livecalc.services import Platform
from livecalc.wire.jobs import Job

ORIGINAL = ("bundles", "diagnostics", "results")


class Prepared(Struct, frozen=True):
    """A bucket that was reaped, and the blobs that are left of it."""

    site: Site
    job: Job
    blobs: dict[str, dict[str, str]]


async def prepare(folder: Path) -> Prepared:
    """Let a job of one partition succeed, and reap its bucket."""
    async with used_site(folder / "template", partitions=1) as (site, platform, job):
        await platform.namespaces.finalize_namespace(ANA, NAMESPACE, force=False, request_id="finalize")
        report = await platform.reaper.sweep()
        assert (report.successful, report.clean) == (1, True), report
        blobs = await list_all(platform.blobs)
    return Prepared(site, job, {kind: blobs.of(kind) for kind in ORIGINAL})


async def check(crew: Crew, site: Site, prepared: Prepared) -> None:
    """Sweep until nothing is left, recompute again, and look at everything."""
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
