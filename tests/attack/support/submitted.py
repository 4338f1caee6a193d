"""What must be true of a site after a submit was cut off: its job runs once to the right result, or never was one."""

from datetime import timedelta

from attack.support.crew import Crew
from attack.support.flows import ANA, BUCKET, HASTY, platform_at, submit
from attack.support.homes import NAMESPACE, Site, audited, finished, leftovers, list_all, manifest_of
from support.waiting import eventually

from livecalc.services import Platform
from livecalc.wire.jobs import Job

NO_GRACE = timedelta(seconds=-2)
"""Whoever was killed is dead; less than nothing, because a job's id and record know whole seconds only."""
INTERRUPTED = "its submit was interrupted before the cluster had it: submit again"


async def compute(site: Site) -> str:
    """The result hash of a submit that nobody cuts off."""
    async with platform_at(site.home) as platform:
        await submit(platform, site.home)
        [job] = (await jobs_of(platform)).values()
    assert job.result_hash is not None
    return job.result_hash


async def check(crew: Crew, site: Site, result_hash: str) -> None:
    """See how the submit ended, submit again, and reap: nothing lost, nothing doubled, nothing left behind."""
    async with platform_at(site.home, policy=HASTY, submit_grace=NO_GRACE) as platform:
        before = await jobs_of(platform)
        ends = [(job.state, job.result_hash, job.error) for job in before.values()]
        assert ends in ([], [("succeeded", result_hash, None)], [("failed", None, INTERRUPTED)]), ends
        await submit(platform, site.home)
        jobs = await jobs_of(platform)
        [again] = [job for job_id, job in jobs.items() if job_id not in before]
        assert (again.state, again.result_hash) == ("succeeded", result_hash)
        assert jobs == {**before, again.job_id: again}
        await only_pods_of(platform, [job_id for job_id, job in jobs.items() if job.state == "succeeded"])
        await reap(platform)
        manifest = await manifest_of(platform)
        assert {entry.job_id: entry.state for entry in manifest.jobs} == {one: job.state for one, job in jobs.items()}
        kept = records((await list_all(platform.blobs)).of("results"))
        assert kept == {job_id: recorded(job) for job_id, job in jobs.items()}
        await audited(platform)
    assert await leftovers(site, crew) == []


async def jobs_of(platform: Platform) -> dict[str, Job]:
    """The bucket's jobs by their ids, each with its end."""
    return {job.job_id: await finished(platform, job.job_id) for job in await platform.jobs.list_jobs(ANA)}


async def reap(platform: Platform) -> None:
    """Finalize the bucket and sweep."""
    await platform.namespaces.finalize_namespace(ANA, NAMESPACE, force=False, request_id="finalize")
    report = await platform.reaper.sweep()
    assert (report.successful, report.clean) == (1, True), report
    assert not (await platform.cluster.list_namespaces({})).items


async def only_pods_of(platform: Platform, job_ids: list[str]) -> None:
    """Each of these jobs has had one pod, which has ended; there is no other."""

    async def ended() -> bool:
        return not any(pod.alive for pod in await platform.cluster.list_pods(NAMESPACE))

    await eventually(ended)
    assert sorted(pod.job for pod in await platform.cluster.list_pods(NAMESPACE)) == sorted(job_ids)


def records(results: dict[str, str]) -> dict[str, set[str]]:
    """The kinds of blobs that are kept of each job, among them its entry in the bucket's index."""
    kept: dict[str, set[str]] = {}
    for name in results:
        top, one, other = name.split("/")[:3]
        job_id, kind = (one, other) if top == "jobs" else (other, f"of {one}")
        kept.setdefault(job_id, set()).add(kind)
    return kept


def recorded(job: Job) -> set[str]:
    """What is kept of a job that has ended."""
    results = {"partitions", "logs"} if job.state == "succeeded" else set[str]()
    return {"submitted.json", "finished.json", f"of {BUCKET}"} | results
