"""What workers leave on disks that their logs fill. Runs in a mount namespace of its own.

`narrow_pod.py FOLDER` mounts a little memory as each pod's disk, runs a worker on it, and prints one line of JSON: by
case, its exit status, what it stated, and what is stored. The blob store is on another disk.
"""

import asyncio
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.models import write_model
from support.pods import MEBIBYTE, Job, Pod, submit

from livecalc.domain.errors import NotFound

FLOODS = """
def main(block):
    for _ in range(2000): print("x" * 9999)
    return np.zeros((len(block), 1000))
"""
LARGE_RESULT = """
def main(block):
    if block.first:
        for _ in range(130): print("x" * 9999)
    return np.zeros((len(block), 4000))
"""
NO_ROOM_AT_ALL = """
def main(block):
    print("the model was here")
    if block.first:
        with open("../../filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True: file.write(bytes(4096))
    return np.zeros((len(block), 10))
"""


async def run(folder: Path, code: str, size: int) -> dict[str, Any]:
    """Run a worker whose folder is a disk of so many bytes."""
    model = write_model(folder / "model", "import contextlib\n" + code)
    job = await submit(folder, model)
    disk = folder / "pod-0-0"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(disk)]
    await asyncio.to_thread(subprocess.run, mount, check=True)
    pod = job.start(pipe=True)
    await asyncio.to_thread(pod.process.communicate, timeout=60)
    return await told(job, pod)


async def told(job: Job, pod: Pod) -> dict[str, Any]:
    statement = pod.statement
    copy = await job.log()
    try:
        record = str((await job.record()).state)
    except NotFound:
        record = None
    lines = copy.decode().splitlines()
    return {
        "code": pod.process.returncode,
        "state": statement.state,
        "error": statement.error,
        "record": record,
        "truncated": statement.log_truncated,
        "refused": statement.log_refused,
        "stated": (statement.log_bytes, statement.log_sha256) == (len(copy), hashlib.sha256(copy).hexdigest()),
        "kept": len(copy),
        "last": lines[-1],
        "text": copy.decode()[:2000],
    }


async def use(folder: Path) -> dict[str, dict[str, Any]]:
    cases = {
        "floods": (FLOODS, 8 * MEBIBYTE),
        "large_result": (LARGE_RESULT, 6 * MEBIBYTE),
        "no_room_at_all": (NO_ROOM_AT_ALL, 4 * MEBIBYTE),
    }
    found: dict[str, dict[str, Any]] = {}
    for name, (code, size) in cases.items():
        (folder / name).mkdir()
        found[name] = await run(folder / name, code, size)
    return found


def main(folder: Path) -> None:
    sys.stdout.write(json.dumps(asyncio.run(use(folder))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
