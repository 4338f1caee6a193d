"""One command of many that use a home at once: `submitter.py ROOT NAMESPACE JOBS [wait | hang]`.

Submits so many jobs of two partitions and prints their names; with `wait` each is waited for before the next, with
`hang` their pods do not end by themselves.
"""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

from support.waiting import eventually

from livecalc.cluster.local import LocalCluster, NodeSettings
from livecalc.cluster.port import JobSpec, PodTemplate
from livecalc.domain.errors import AlreadyExists

EAGER = NodeSettings(linger_seconds=0.0, grace_seconds=0.5)
"""A node that leaves as soon as it can, so that submits meet it leaving."""


async def submit(root: Path, namespace: str, jobs: int, manner: str) -> None:
    cluster = LocalCluster(root, slots=2, node=EAGER)
    with suppress(AlreadyExists):
        await cluster.create_namespace(namespace, labels={}, annotations={})
    for number in range(jobs):
        name = f"j-{os.getpid()}-{number}"
        template = PodTemplate(image="local", command=("sleep", "300") if manner == "hang" else ("true",))
        await cluster.create_job(namespace, JobSpec(name=name, partitions=2, template=template, deadline_seconds=300))
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        if manner == "wait":
            await eventually(lambda name=name: is_finished(cluster, namespace, name), every=0.001)
    await cluster.close()


async def is_finished(cluster: LocalCluster, namespace: str, name: str) -> bool:
    return any(job.name == name and job.finished_at for job in await cluster.list_jobs(namespace))


if __name__ == "__main__":
    asyncio.run(submit(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), "".join(sys.argv[4:])))
