"""A log of 1 GiB through the archive into Azurite, against the same bytes piped by a bare upload of staged blocks.

Both are whole processes, one after the other, in each of three rounds: `livecalc cleanup`, which reaps a namespace
whose job printed the log, and `bare_pipe.py`, which copies the worker's blob. The throughput is that of the bytes: each
process's time less that of one like it without them (nothing to reap, a blob of a few bytes); the whole times stand
beside it. `--mib` takes another size.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from report import figure, finish
from store import azurite

from livecalc.bootstrap.service import open_platform
from livecalc.bundles.pack import pack
from livecalc.domain.tenants import Principal
from livecalc.jobs.service import SubmitRequest
from livecalc.settings import load

ROUNDS = 3
"""Azurite keeps all of it in memory, 3 GiB each round, and takes half of the machine's at most."""
ANA = Principal(tenant_id="acme", user_id="ana")
LEAST_THROUGHPUT = 0.95
MOST_ABOVE_IDLE = 128.0
MOST_IN_ALL = 512.0
CONFIG = """{
  "name": "talkative", "version": "1",
  "scenarios": {"count": 8, "block": 8, "seed": 1},
  "assumptions": [],
  "pipeline": {"nodes": [
    {"id": "talk", "engine": "python://talk.py:talk", "inputs": {}, "outputs": {"npv": "bus://results/npv"}}
  ]},
  "results": ["bus://results/npv"]
}"""
MODEL = '''"""Prints {mib} MiB."""

import sys

LINE = "policy 0012345 scenario 000123 npv 12345.678901 discount 0.987654321 decrement 0.001\\n"


def talk(block, /):
    """Print, and return nothing of value."""
    whole, rest = divmod({mib} << 20, len(LINE))
    piece = LINE * 10_000
    for _ in range(whole // 10_000):
        sys.stdout.write(piece)
    sys.stdout.write(LINE * (whole % 10_000) + LINE[:rest])
    return block.normals(1, "npv")[:, 0]
'''


@dataclass(frozen=True)
class Ended:
    """What a process took."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


def run(command: list[str], env: dict[str, str]) -> Ended:
    """Run a process to its end; its time, and the most memory that it had."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=env, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            said.seek(0)
            raise SystemExit(f"{command} failed:\n{said.read().decode(errors='replace')[-3000:]}")
    return Ended(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


async def print_log(env: dict[str, str], model: Path, bucket: str, log_bytes: int) -> tuple[str, str, str]:
    """Run a job that prints the log, finalize its bucket; the container, the worker's own copy, and a small blob."""
    async with open_platform(load(env)) as platform:
        packed = pack(model, model.parent / "model.zip")
        await platform.bundles.push(ANA.tenant_key, packed.path)
        request = SubmitRequest(bucket_id=bucket, model_bundle_hash=packed.model_bundle_hash, partitions=1)
        submitted = await platform.jobs.submit(ANA, request, request_id=bucket)
        last = [job async for job in platform.jobs.events(ANA, submitted.job_id)][-1]
        if last.state != "succeeded":
            raise SystemExit(f"the job that prints the log failed: {last.error}")
        await platform.namespaces.finalize_namespace(ANA, submitted.namespace, force=False, request_id=bucket)
        container = f"results-{ANA.tenant_key}"
        blobs = [info async for info in platform.blobs.list_blobs(container, f"jobs/{submitted.job_id}/")]
        by_size = sorted(blobs, key=lambda info: info.size)
        if by_size[-1].size < log_bytes:
            pods = await platform.cluster.list_pods(submitted.namespace)
            ends = [container.terminated for pod in pods for container in pod.containers]
            raise SystemExit(f"the worker stored only {by_size[-1].size} bytes of its log: {ends}")
        return container, by_size[-1].name, by_size[0].name


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    mib = parser.parse_args().mib
    with tempfile.TemporaryDirectory(prefix="livecalc-bench-") as place, azurite() as connection_string:
        folder = Path(place)
        model = folder / "model"
        model.mkdir()
        (model / "livecalc.config.json").write_text(CONFIG)
        (model / "talk.py").write_text(MODEL.format(mib=mib))
        mine = {
            "LIVECALC_HOME": str(folder / "home"),
            "AZURE_BLOB_CONNECTION_STRING": connection_string,
            "LOG_LIMIT_MIB": str(mib + 1),
        }
        env = {**os.environ, **mine}
        cleanup = [sys.executable, "-m", "livecalc", "cleanup"]
        bare = [sys.executable, str(Path(__file__).with_name("bare_pipe.py"))]
        ours: list[Ended] = []
        theirs: list[Ended] = []
        printed: list[tuple[str, str, str]] = []
        for number in range(ROUNDS):
            printed.append(asyncio.run(print_log(mine, model, f"bench-{number}", mib << 20)))
            container, name, _ = printed[-1]
            theirs.append(run([*bare, container, name, "bare", f"{number}.log"], env))
            ours.append(run(cleanup, env))
            print(f"round {number}: bare {theirs[-1]}, archive {ours[-1]}", flush=True)
        idle = run(cleanup, env)
        container, _, small = printed[-1]
        bare_idle = run([*bare, container, small, "bare", "small"], env)
    typical = median(each.seconds for each in ours), median(each.seconds for each in theirs)
    pairs = zip(ours, theirs, strict=True)
    slower = median((own.seconds - idle.seconds) / (other.seconds - bare_idle.seconds) for own, other in pairs)
    peak = max(each.peak_mib for each in ours)
    finish(
        [
            figure("a 1 GiB log, archive / bare upload, time of the bytes", slower, 1 / LEAST_THROUGHPUT, "times"),
            figure("a 1 GiB log, archive / bare upload, whole processes", typical[0] / typical[1], None, "times"),
            figure("a 1 GiB log, archive", typical[0], None, "s"),
            figure("a 1 GiB log, bare upload", typical[1], None, "s"),
            figure("a 1 GiB log, peak memory above idle", peak - idle.peak_mib, MOST_ABOVE_IDLE, "MiB"),
            figure("a 1 GiB log, peak memory", peak, MOST_IN_ALL, "MiB"),
        ],
        {
            "mib": mib,
            "rounds": ROUNDS,
            "idle_peak_mib": round(idle.peak_mib, 1),
            "idle_s": round(idle.seconds, 2),
            "bare_idle_s": round(bare_idle.seconds, 2),
        },
    )


if __name__ == "__main__":
    main()
