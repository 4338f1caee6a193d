"""What must be true of a site after a reap was cut off and another sweep came: as if nobody had been cut off."""

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from attack.support.crew import Crew
from attack.support.flows import ANA, HASTY, platform_at
from attack.support.homes import NAMESPACE, Site, audited, leftovers, list_all, manifest_of, populate, used_site
from msgspec import Struct

from livecalc.lifecycle.archive.manifest import Manifest
from livecalc.wire.jobs import Job, Result


class Prepared(Struct, frozen=True):
    """A bucket that is to be reaped, and what must be true of it then."""

    site: Site
    job: Job
    result: Result
    results: dict[str, str]
    manifest: Manifest
    audit: Counter[tuple[str, str]]


async def prepare(folder: Path, crew: Crew, reap: Callable[[Path], Awaitable[None]], *, finalize: bool) -> Prepared:
    """Make a bucket with a job of two pods, a foreign pod and a volume, and let a copy of it be reaped undisturbed."""
    async with used_site(folder / "template", partitions=2) as (site, platform, job):
        await populate(site.home)
        if finalize:
            await platform.namespaces.finalize_namespace(ANA, NAMESPACE, force=False, request_id="finalize")
        results = (await list_all(platform.blobs)).of("results")
        result = await platform.jobs.result(ANA, job.job_id)
    whole = site.copy(folder / "whole")
    await reap(whole.home)
    async with platform_at(whole.home, policy=HASTY) as platform:
        prepared = Prepared(site, job, result, results, await manifest_of(platform), await audited(platform))
    assert await leftovers(whole, crew) == []
    assert [state for _, state, *_ in logs(prepared.manifest)] == ["unknown", "complete", "complete"]
    assert prepared.audit["reap", "intent"] == prepared.audit["reap", "outcome"] == 1
    return prepared


async def check(crew: Crew, site: Site, prepared: Prepared) -> None:
    """Sweep, and look at everything."""
    async with platform_at(site.home, policy=HASTY) as platform:
        report = await platform.reaper.sweep()
        assert report.clean, report
        assert not (await platform.reaper.plan()).entries
        assert not await platform.cluster.list_volumes()
        assert logs(await manifest_of(platform)) == logs(prepared.manifest)
        assert await audited(platform) == prepared.audit
        assert (await list_all(platform.blobs)).of("results") == prepared.results
        job = await platform.jobs.get(ANA, prepared.job.job_id)
        assert (job.state, job.result_hash) == ("succeeded", prepared.job.result_hash)
        assert job.archive is not None
        assert await platform.jobs.result(ANA, job.job_id) == prepared.result
        # The next writer takes away what a killed one had begun to write.
        await platform.namespaces.create_namespace(ANA, "next", request_id="next")
    assert await leftovers(site, crew) == []


def logs(manifest: Manifest) -> list[tuple[str, str, str, str | None, str]]:
    """What the manifest says of each log."""
    return [(pod.name, log.state, log.source, log.sha256, log.note) for pod in manifest.pods for log in pod.containers]
