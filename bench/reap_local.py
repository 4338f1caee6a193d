"""Reaping 100 finalized namespaces with 3 finished pods each, in one sweep: how long each takes, p50 and p95.

A namespace's time runs from its claim to its end, eight being reaped at once.
"""

import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from report import figure, finish

from livecalc.bootstrap.service import open_platform
from livecalc.cluster.port import JobSpec, PodTemplate
from livecalc.domain.namespaces import new_annotations, new_labels
from livecalc.domain.retention import Retention
from livecalc.services import Platform
from livecalc.settings import load

NAMESPACES = 100
PODS = 3


async def prepare(platform: Platform) -> None:
    """Make the namespaces, run their pods to the end, finalize."""
    template = PodTemplate(image="local", command=("sh", "-c", "echo done"))
    names = [f"bench-{number}" for number in range(NAMESPACES)]
    for name in names:
        annotations = {**new_annotations("acme", Retention.STANDARD, datetime.now(UTC)), "status": "finalized"}
        namespace = f"livecalc-bucket-{name}"
        await platform.cluster.create_namespace(namespace, labels=new_labels(name, "acme"), annotations=annotations)
        spec = JobSpec(name="work", partitions=PODS, template=template, deadline_seconds=300)
        await platform.cluster.create_job(namespace, spec)
    for name in names:
        await until_done(platform, f"livecalc-bucket-{name}")


async def until_done(platform: Platform, namespace: str) -> None:
    """Wait for all pods of a namespace."""
    while any(job.state != "succeeded" for job in await platform.cluster.list_jobs(namespace)):  # noqa: ASYNC110  (polled, as by every client)
        await asyncio.sleep(0.05)


async def measure(home: Path) -> tuple[float, list[float]]:
    """Sweep once; seconds of the whole, and of each namespace."""
    async with open_platform(load({"LIVECALC_HOME": str(home)})) as platform:
        await prepare(platform)
        start = time.perf_counter()
        report = await platform.reaper.sweep()
        whole = time.perf_counter() - start
        if report.successful != NAMESPACES:
            raise SystemExit(f"only {report.successful} of {NAMESPACES} were reaped: {report}")
        return whole, sorted(outcome.seconds for outcome in report.outcomes)


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory(prefix="livecalc-bench-") as folder:
        whole, each = asyncio.run(measure(Path(folder) / "home"))
    finish(
        [
            figure("reap of one namespace, p50", each[len(each) // 2], None, "s"),
            figure("reap of one namespace, p95", each[len(each) * 95 // 100], None, "s"),
            figure("sweep of 100 namespaces", whole, None, "s"),
        ],
        {"namespaces": NAMESPACES, "pods_each": PODS},
    )


if __name__ == "__main__":
    main()
