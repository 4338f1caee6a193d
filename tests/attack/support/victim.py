"""`victim.py`: for each order on standard input, fork a process that does a flow, and say how it ended.

The flow's process is killed by SIGKILL at the step that the order names. It is forked from one that has imported
everything, because hundreds of them are needed. It writes each step to `trace` before it takes it.
"""

import asyncio
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import msgspec
from attack.support.flows import FLOWS, HASTY, PATIENT, platform_at
from attack.support.steps import Death, Steps
from lifecycle.taps import tap
from msgspec import Struct

from livecalc.bootstrap.service import Adapters
from livecalc.domain.errors import Unavailable


class Order(Struct, frozen=True, kw_only=True):
    """One life."""

    flow: str
    home: str
    trace: str
    death: Death | None = None


def main() -> None:
    """Serve until standard input ends; answer each order with the status that waitpid gives."""
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        pid = os.fork()
        if pid == 0:
            os._exit(live(order))
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def live(order: Order) -> int:
    """Do the flow; returns 0, or 1 after an error, when nothing kills this process before."""
    home = Path(order.home)
    tempfile.tempdir = str(home.parent / "tmp")
    trace = os.open(order.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    steps = Steps(lambda call: _write(trace, call), order.death)
    try:
        asyncio.run(_flow(order.flow, home, steps))
    except BaseException:  # noqa: BLE001  (whatever it was, this process ends here)
        traceback.print_exc()
        return 1
    return 0


async def _flow(flow: str, home: Path, steps: Steps) -> None:
    def wrap(adapters: Adapters) -> Adapters:
        cluster = tap(adapters.cluster, _refuse_jobs) if flow == "failing submit" else adapters.cluster
        return msgspec.structs.replace(
            adapters, cluster=steps.wrap(cluster, "cluster"), blobs=steps.wrap(adapters.blobs, "blobs")
        )

    async with platform_at(home, wrap=wrap, policy=HASTY if flow == "resume" else PATIENT) as platform:
        await FLOWS[flow](platform, home)


def _refuse_jobs(method: str, _: tuple[Any, ...]) -> None:
    if method == "create_job":
        raise Unavailable("the cluster takes no jobs: try again later")


def _write(trace: int, call: str) -> None:
    os.write(trace, f"{call}\n".encode())


if __name__ == "__main__":
    main()
