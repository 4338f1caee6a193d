"""What a cluster says on a disk that is full or read-only. Runs in a mount namespace of its own.

`narrow_home.py FOLDER` mounts 2 MiB of memory there, fills it, makes room, and mounts it read-only; it prints one line
of JSON with what the errors said.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable
from pathlib import Path

from support.processes import processes_with, until
from support.waiting import eventually

from livecalc.cluster.local import LocalCluster, NodeSettings
from livecalc.cluster.port import JobSpec, PodTemplate
from livecalc.domain.errors import LivecalcError

NODE = NodeSettings(linger_seconds=0.2, grace_seconds=0.5)


def mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True)


async def told(call: Awaitable[object]) -> str:
    try:
        await call
    except LivecalcError as error:
        return f"{type(error).__name__}: {error.detail}"
    return "ok"


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return


async def use(folder: Path) -> dict[str, str]:
    root = folder / "cluster"
    cluster = LocalCluster(root, node=NODE)
    said: dict[str, str] = {"first": await told(cluster.create_namespace("first", labels={}, annotations={}))}
    script = 'echo on >&2; while [ ! -e "$GO" ]; do sleep 0.02; done; head -c 100000 /dev/zero'
    go = folder.with_name("go")
    template = PodTemplate(image="local", command=("sh", "-c", script), env={"GO": str(go)})
    await cluster.create_job("first", JobSpec(name="job", partitions=1, template=template, deadline_seconds=60))
    await eventually(lambda: runs(cluster))
    fill(folder / "filler")
    said["full"] = await write_until_refused(cluster)
    go.touch()
    said["read when full"] = await told(cluster.list_namespaces({}))
    said["new home"] = await told(LocalCluster(folder / "new").list_namespaces({}))
    said["new home files"] = str([path.name for path in (folder / "new").glob("cluster.db*")])
    (folder / "filler").unlink()
    said["kept"] = await told(cluster.get_namespace("first"))
    said["with room"] = await told(cluster.create_namespace("second", labels={}, annotations={}))
    said["job"] = await eventually(lambda: end_of_job(cluster)) or ""
    await cluster.close()
    until(lambda: not processes_with(str(root)))
    mount("-o", "remount,ro", str(folder))
    cluster = LocalCluster(root, node=NODE)
    said["write read-only"] = await told(cluster.create_namespace("late", labels={}, annotations={}))
    said["new home read-only"] = await told(LocalCluster(folder / "late").list_namespaces({}))
    await cluster.close()
    return said


async def runs(cluster: LocalCluster) -> bool:
    return [pod.phase for pod in await cluster.list_pods("first")] == ["Running"]


async def end_of_job(cluster: LocalCluster) -> str | None:
    (job,) = await cluster.list_jobs("first")
    return job.state if job.finished_at else None


async def write_until_refused(cluster: LocalCluster) -> str:
    for number in range(100):
        answer = await told(cluster.create_namespace(f"n{number}", labels={}, annotations={"x": "y" * 50_000}))
        if answer != "ok":
            return answer
    return "never refused"


def main(folder: Path) -> None:
    mount("-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(folder))
    os.chdir("/")
    sys.stdout.write(json.dumps(asyncio.run(use(folder))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
