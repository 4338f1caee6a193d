"""One command of many that use a home at once: `submitter.py ROOT NAMESPACE JOBS [wait]`.

Submits so many jobs of two partitions, each waited for before the next when asked to, and prints their names.
"""

import asyncio
import os
import sys
from pathlib import Path

from livecalc.cluster.local import LocalCluster, NodeSettings
from livecalc.cluster.port import JobSpec, PodTemplate
from livecalc.domain.errors import AlreadyExists

EAGER = NodeSettings(linger_seconds=0.0, grace_seconds=0.5)
"""A node that leaves as soon as it can, so that submits meet it leaving."""


async def submit(root: Path, namespace: str, jobs: int, *, wait: bool) -> None:
    cluster = LocalCluster(root, slots=2, node=EAGER)
    try:
        await cluster.create_namespace(namespace, labels={}, annotations={})
    except AlreadyExists:
        pass
    for number in range(jobs):
        name = f"j-{os.getpid()}-{number}"
        template = PodTemplate(image="local", command=("true",))
        await cluster.create_job(namespace, JobSpec(name=name, partitions=2, template=template, deadline_seconds=300))
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        while wait and not await is_finished(cluster, namespace, name):
            await asyncio.sleep(0.001)
    await cluster.close()


async def is_finished(cluster: LocalCluster, namespace: str, name: str) -> bool:
    return any(job.name == name and job.finished_at for job in await cluster.list_jobs(namespace))


if __name__ == "__main__":
    asyncio.run(submit(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), wait=sys.argv[4:] == ["wait"]))
