"""Writers that are killed: `killed_writers.py ROOT` prints the containers `step-1`, `step-2`, ... that it tried.

The n-th writer kills itself with SIGKILL at its n-th call that opens, makes, locks, links, renames or removes
something, until one gets to its end. A few more are killed from outside, at random instants.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from livecalc.blobs.directory import DirectoryStore

NAME = "q4/20260126-010504/logs/worker-1.log"
CONTENT = b"0123456789abcdef" * 4096
STEPS = {"open", "os.mkdir", "os.link", "os.rename", "os.remove", "os.rmdir", "fcntl.flock"}
RANDOM_KILLS = 15
SLOW_CHUNKS = 200


async def body(chunks: int) -> AsyncIterator[bytes]:
    for _ in range(chunks):
        yield CONTENT * 8


def kill_at(step: int, root: Path) -> None:
    """Count calls below the root; interpreter's own reading of modules is no step."""
    left = step

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event not in STEPS or (event == "open" and not isinstance(arguments[2], int)):
            return
        if event == "open" and isinstance(arguments[0], str) and arguments[0].endswith((".py", ".pyc", ".so")):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    asyncio.run(DirectoryStore(root).write(f"step-{step}", NAME, CONTENT, metadata={"step": str(step)}))


def run(step: int, root: Path) -> bool:
    """Fork one writer; tell whether it got to its end."""
    child = os.fork()
    if child == 0:
        kill_at(step, root)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def kill_at_random(number: int, root: Path, random_source: random.Random) -> None:
    child = os.fork()
    if child == 0:
        asyncio.run(DirectoryStore(root).write(f"random-{number}", NAME, body(SLOW_CHUNKS)))
        os._exit(0)
    time.sleep(random_source.uniform(0.0, 0.1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def main(root: Path, seed: int) -> None:
    step = 1
    while not run(step, root):
        sys.stdout.write(f"step-{step}\n")
        step += 1
    sys.stdout.write(f"step-{step}\n")
    for number in range(RANDOM_KILLS):
        kill_at_random(number, root, random.Random(seed + number))  # noqa: S311  (instants, not secrets)
        sys.stdout.write(f"random-{number}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
