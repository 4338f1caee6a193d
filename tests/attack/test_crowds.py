"""Many clients at once on one home: each gets its own job, and what is reaped afterwards leaves nothing."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import anyio.to_thread
import msgspec
import pytest
from attack.support.commands import Command, environment
from attack.support.crew import FULL, TESTS, Crew
from attack.support.flows import ANA, BUNDLE, HASTY, platform_at
from attack.support.homes import Site, at_rest, audited, leftovers, new_site
from attack.support.submitted import compute

from livecalc.wire.jobs import Job

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
PROCESSES, CLIENTS = (5, 10) if FULL else (2, 3)
"""Processes, and clients in each."""


@pytest.fixture(scope="module")
def result_hash(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The result of the model when nobody else is there."""
    return asyncio.run(compute(new_site(tmp_path_factory.mktemp("computed") / "site")))


@pytest.mark.parametrize("buckets", [1, 10])
async def test_submits_at_once(crew: Crew, tmp_path: Path, buckets: int, result_hash: str) -> None:
    site, count = new_site(tmp_path / "site"), PROCESSES * CLIENTS
    started = [start(site, buckets) for _ in range(PROCESSES)]
    jobs = [job for process in started for job in await anyio.to_thread.run_sync(outcome, process)]
    assert {(job.state, job.result_hash, job.retries) for job in jobs} == {("succeeded", result_hash, 0)}
    assert len({job.job_id for job in jobs}) == count
    async with platform_at(site.home, policy=HASTY) as platform:
        listed = await platform.jobs.list_jobs(ANA, limit=1000)
        assert {job.job_id for job in listed} == {job.job_id for job in jobs}
        pods = {name: await platform.cluster.list_pods(name) for name in {job.namespace for job in jobs}}
        assert Counter(pod.job for each in pods.values() for pod in each) == Counter(job.job_id for job in jobs)
        for name in pods:
            await platform.namespaces.finalize_namespace(ANA, name, force=False, request_id=f"finalize-{name}")
        report = await platform.reaper.sweep()
        assert (report.successful, report.clean) == (len(pods), True), report
        counts = await audited(platform)
        assert counts["submit", "intent"] == counts["submit", "outcome"] == count
        assert counts["reap", "intent"] == counts["reap", "outcome"] == len(pods) == min(buckets, CLIENTS)
    assert await leftovers(site, crew) == []


def start(site: Site, buckets: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "attack.support.crowd", str(site.home), str(site.folder / BUNDLE)]
    env = {name: value for name, value in environment(site).items() if name != "LIVECALC_TOKEN"}
    return subprocess.Popen(
        [*command, str(buckets), str(CLIENTS)], stdout=subprocess.PIPE, env={**env, "PYTHONPATH": str(TESTS)}
    )


def outcome(process: "subprocess.Popen[bytes]") -> list[Job]:
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    return msgspec.json.decode(printed, type=list[Job])


if FULL:
    # Each takes as long as the whole share of this attack in `make test`.
    async def test_two_demos_at_once(tmp_path: Path) -> None:
        site = new_site(tmp_path / "site")
        demos = [Command(site, "demo", "--json") for _ in range(2)]
        told = [await anyio.to_thread.run_sync(demo.end) for demo in demos]
        stories = [json.loads(text[text.index("{") :]) for text in told]
        assert [story["holds"] for story in stories] == [True, True]
        assert len({story["bucket_id"] for story in stories}) == 2
        assert {tuple(sorted(story["left"].items())) for story in stories} == {
            (("namespaces", 0), ("pods", 0), ("processes", 0), ("volumes", 0))
        }
        await at_rest(site)
