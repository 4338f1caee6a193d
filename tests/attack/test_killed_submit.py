"""A submitter killed at every step: its job runs once to the right result, or is settled as never submitted."""

from datetime import timedelta
from pathlib import Path

import pytest
from support.waiting import eventually

from attack.support.crew import Crew, choose
from attack.support.flows import ANA, BUCKET, HASTY, platform_at, submit
from attack.support.homes import NAMESPACE, Site, audited, finished, leftovers, list_all, manifest_of, new_site
from attack.support.steps import Death
from livecalc.services import Platform
from livecalc.wire.jobs import Job

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
STEPS = 26
"""Calls of ports that the submit of a bundle file makes, on a home that nobody has used."""
SEED = 20_260_126
INTERRUPTED = "its submit was interrupted before the cluster had it: submit again"


async def jobs_of(platform: Platform) -> dict[str, Job]:
    """The bucket's jobs by their ids, each with its end."""
    return {job.job_id: await finished(platform, job.job_id) for job in await platform.jobs.list_jobs(ANA)}


async def reap(platform: Platform) -> None:
    await platform.namespaces.finalize_namespace(ANA, NAMESPACE, force=False, request_id="finalize")
    report = await platform.reaper.sweep()
    assert (report.successful, report.clean) == (1, True), report
    assert not (await platform.cluster.list_namespaces({})).items


async def check(crew: Crew, site: Site, result_hash: str) -> None:
    async with platform_at(site.home, policy=HASTY, submit_grace=timedelta(0)) as platform:
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
        assert {entry.job_id: entry.state for entry in manifest.jobs} == {
            job.job_id: job.state for job in jobs.values()
        }
        assert records((await list_all(platform.blobs)).of("results")) == {
            job.job_id: recorded(job) for job in jobs.values()
        }
        await audited(platform)
    assert await leftovers(site, crew) == []


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


async def test_killed_at_every_step_of_a_submit(crew: Crew, tmp_path: Path) -> None:
    fresh, whole = new_site(tmp_path / "fresh"), new_site(tmp_path / "whole")
    await crew.count("submit", whole.home, STEPS)
    async with platform_at(whole.home) as platform:
        [job] = (await jobs_of(platform)).values()
    result_hash = job.result_hash or ""
    deaths = choose(STEPS, SEED)
    print(f"submit: {STEPS} steps, {len(deaths)} deaths, seed {SEED}")  # noqa: T201  (the attack's figures)

    async def attempt(death: Death) -> None:
        site = fresh.copy(tmp_path / f"{death.instant}-{death.step}")
        await crew.kill("submit", site.home, death)
        await check(crew, site, result_hash)
        site.remove()

    await crew.each(deaths, attempt)
