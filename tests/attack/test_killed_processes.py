"""Client, server, node and workers killed while they are at it: after the next command all is as it should be."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import anyio.to_thread
import httpx
import msgspec
import pytest
from attack.support import reaped, recomputed, submitted
from attack.support.commands import (
    PATIENCE,
    Command,
    count,
    environment,
    free_port,
    kill,
    kill_when,
    meanwhile,
    node_pid,
    pod_leaders,
    serving,
    zombies_of,
)
from attack.support.crew import FULL, Crew
from attack.support.flows import ANA, BUCKET, BUNDLE, platform_at
from attack.support.homes import NAMESPACE, Site, finished, new_site
from support.bundles import CONFIG, bundle, model_files, write_folder
from support.processes import processes_with, until
from support.waiting import eventually

from livecalc.cluster.local.processes import children
from livecalc.wire.jobs import Job

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
SEED = 20_260_129
SUBMIT = {
    "the home is made": ("home.json", 1),
    "the bundle is stored": ("blobs/bundles-acme/*", 1),
    "the namespace is there": ("blobs/audit-acme/000000000003", 1),
    "the job is recorded": ("blobs/results-acme/jobs/*/submitted.json", 1),
    "its task is written": ("blobs/results-acme/jobs/*/task.json", 1),
    "the node starts": ("cluster/node.lock", 1),
    "a pod starts": ("cluster/pods/*", 1),
    "a result is stored": ("blobs/results-acme/jobs/*/partitions/*", 1),
    "the job has ended": ("blobs/results-acme/jobs/*/finished.json", 1),
}
REAP = {
    "a log is archived": ("blobs/diagnostics-acme/q4/*/logs/*", 1),
    "all logs are archived": ("blobs/diagnostics-acme/q4/*/logs/*", 3),
    "the archive is whole": ("blobs/diagnostics-acme/q4/*/manifest.json", 1),
}
RECOMPUTE = {
    "it is recorded": ("blobs/results-acme/buckets/mttc-*", 1),
    "its pod starts": ("cluster/pods/*", 1),
    "its result is stored": ("blobs/results-acme/jobs/*/partitions/*", 2),
    "it has ended": ("blobs/results-acme/jobs/*/finished.json", 2),
}
"""Things that happen, and how many of which files are in the home then."""
WORKING = "cluster/pods/*/scratch/worker-*/bundle"
"""What the worker of a pod has while it computes, or gets ready to."""
SLOW = b"""
import time


def draw(block, /, *, rates):
    time.sleep(0.3)
    return block.normals(3) + rates["rate"][0]


def total(block, /, *, numbers):
    return numbers.sum(axis=1)
"""


Moment = tuple[str, int]
SERVED = {
    **{f"submit: {name}": moment for name, moment in SUBMIT.items()},
    **{f"reap: {name}": moment for name, moment in REAP.items()},
    **{f"recompute: {name}": moment for name, moment in RECOMPUTE.items()},
}


def share(moments: dict[str, Moment], number: int) -> list[str]:
    """All moments, or so many of them."""
    return list(moments) if FULL else random.Random(SEED).sample(list(moments), number)  # noqa: S311  (a choice of tests)


@pytest.fixture(scope="module")
def result_hash(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The result of the quick model, undisturbed."""
    return asyncio.run(submitted.compute(new_site(tmp_path_factory.mktemp("computed") / "site")))


@pytest.mark.parametrize("moment", share(SUBMIT, 1))
async def test_a_client_is_killed(crew: Crew, tmp_path: Path, moment: str, result_hash: str) -> None:
    site = new_site(tmp_path / "site")
    model = write_folder(tmp_path / "model", model_files())
    client = Command(site, "submit", str(model), "--bucket", BUCKET, "--partitions", "1", "--wait")
    await anyio.to_thread.run_sync(kill_when, client, site, *SUBMIT[moment])
    await submitted.check(crew, site, result_hash)


@pytest.mark.parametrize("moment", share(SERVED, 2))
async def test_a_server_is_killed(crew: Crew, tmp_path: Path, moment: str, result_hash: str) -> None:
    during = {"submit": during_submit, "reap": during_reap, "recompute": during_recomputation}
    await during[moment.partition(":")[0]](crew, tmp_path, SERVED[moment], result_hash)


async def during_submit(crew: Crew, folder: Path, moment: Moment, result_hash: str) -> None:
    site = new_site(folder / "site")

    def post(http: httpx.Client) -> None:
        fields = {"bucket_id": BUCKET, "partitions": "1"}
        job = http.post("/v1/jobs/submit", data=fields, files={"bundle": (site.folder / BUNDLE).read_bytes()}).json()
        http.get(f"/v1/jobs/{job['job_id']}/events")

    await anyio.to_thread.run_sync(kill_server_when, site, moment, post)
    await submitted.check(crew, site, result_hash)


async def during_reap(crew: Crew, folder: Path, moment: Moment, _: str) -> None:
    async def undisturbed(home: Path) -> None:
        async with platform_at(home) as platform:
            done = await platform.namespaces.reap_namespace(
                ANA, NAMESPACE, bucket_id=BUCKET, force=False, request_id="reap"
            )
            assert done.success, done

    def post(http: httpx.Client) -> None:
        http.post(f"/v1/platform/namespaces/{NAMESPACE}/reap", params={"bucket_id": BUCKET})

    prepared = await reaped.prepare(folder, crew, undisturbed, finalize=False)
    site = prepared.site.copy(folder / "site")
    await anyio.to_thread.run_sync(kill_server_when, site, moment, post)
    await reaped.check(crew, site, prepared)


async def during_recomputation(crew: Crew, folder: Path, moment: Moment, _: str) -> None:
    prepared = await recomputed.prepare(folder)
    site = prepared.site.copy(folder / "site")

    def post(http: httpx.Client) -> None:
        body = {"bucket_id": BUCKET, "model_bundle_hash": prepared.job.model_bundle_hash}
        http.post("/v1/platform/mttc/verify", json=body)

    await anyio.to_thread.run_sync(kill_server_when, site, moment, post)
    await recomputed.check(crew, site, prepared)


def kill_server_when(site: Site, moment: Moment, post: Callable[[httpx.Client], None]) -> None:
    """Serve a site, ask for something, and kill the server in the midst of it."""
    headers = {"Authorization": f"Bearer {environment(site)['LIVECALC_TOKEN']}"}
    with (
        serving(site) as (server, address),
        httpx.Client(base_url=address, headers=headers, timeout=PATIENCE) as http,
        meanwhile(lambda: post(http)),
    ):
        assert kill_when(server, site, *moment), server.printed


def test_a_watcher_outlives_his_server(tmp_path: Path) -> None:
    site, port = slow_site(tmp_path / "site"), free_port()
    with serving(site, port) as (server, address):
        submit = Command(site, "submit", str(site.folder / BUNDLE), "--bucket", BUCKET, url=address)
        submit.end()
        watcher = Command(site, "jobs", "watch", submit.job_id, "--json", url=address)
        assert kill_when(server, site, WORKING), server.printed
    with serving(site, port):
        printed = watcher.end()
    job = msgspec.json.decode(printed[printed.index("{") :], type=Job)
    assert (job.state, job.retries) == ("succeeded", 0)


@pytest.fixture(scope="module")
def slow_hash(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The result of the slow model, undisturbed."""
    job = asyncio.run(run_slowly(slow_site(tmp_path_factory.mktemp("slow") / "site")))
    return job.result_hash or ""


@pytest.mark.parametrize("victims", ["node", "workers", "engines"])
async def test_a_job_whose_processes_are_killed_comes_to_the_same_end(
    tmp_path: Path, victims: str, slow_hash: str
) -> None:
    for number in range(6 if FULL else 1):
        site = slow_site(tmp_path / f"site-{number}")
        job = await run_slowly(site, kills=1 + number % 3, victims=victims)
        assert (job.state, job.result_hash) == ("succeeded", slow_hash), job.error
        await eventually(lambda site=site: nobody(site))


async def run_slowly(site: Site, *, kills: int = 0, victims: str = "") -> Job:
    """Run a slow job of two partitions by commands, which leave before it ends, and kill so often in its midst."""
    command = Command(site, "submit", str(site.folder / BUNDLE), "--bucket", BUCKET, "--partitions", "2")
    await anyio.to_thread.run_sync(command.end)
    for _ in range(kills):
        await anyio.to_thread.run_sync(kill_some, site, victims)
        # Any command has what is left over picked up.
        await anyio.to_thread.run_sync(Command(site, "jobs", "show", command.job_id).end)
    async with platform_at(site.home) as platform:
        job = await finished(platform, command.job_id)
        runs = await platform.cluster.list_pods(NAMESPACE)
        assert zombies_of({node_pid(site)}) == []
    assert sorted(pod.index or 0 for pod in runs if pod.phase == "Succeeded") == [0, 1]
    assert job.retries == len(runs) - 2 == 2 * kills
    return job


def kill_some(site: Site, victims: str) -> None:
    """Kill the node, or a process of each pod, while both pods compute."""
    until(lambda: count(site, WORKING) == 2, PATIENCE)
    leaders = pod_leaders(site)
    assert len(leaders) == 2
    pids = {
        "node": [node_pid(site)],
        "workers": leaders,
        "engines": [pid for each in leaders for pid in children(each)],
    }
    for pid in pids[victims]:
        kill(pid)
    until(lambda: not set(pids[victims]) & running(), PATIENCE)


def running() -> set[int]:
    return {int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal()}


async def nobody(site: Site) -> bool:
    return not processes_with(str(site.home))


def slow_site(folder: Path) -> Site:
    """A site whose model takes its time."""
    site = new_site(folder)
    config = {**CONFIG, "scenarios": {"count": 64, "block": 8, "seed": 7}}
    (folder / BUNDLE).write_bytes(bundle(model_files(config, {"model.py": SLOW})))
    return site
