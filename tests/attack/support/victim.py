"""`victim.py`: for each order on standard input, fork a process that does a flow, and say how it ended.

The flow's process is killed by SIGKILL at the step that the order names, or after so many seconds. It is forked from
one that has imported everything, because hundreds of them are needed. It writes each step to `trace` before it takes
it.
"""

import asyncio
import os
import select
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import msgspec
from attack.support.flows import AIMED, FLOWS, HASTY, PATIENT, platform_at
from attack.support.steps import Death, Steps
from lifecycle.taps import tap
from msgspec import Struct, field
from support.stores import boxed

from livecalc.bootstrap.service import Adapters
from livecalc.domain.errors import Unavailable


class Order(Struct, frozen=True, kw_only=True):
    """One life."""

    flow: str
    home: str
    trace: str
    death: Death | None = None
    kill_after: float | None = None
    """Seconds from the start of its process."""
    target: str = ""
    """What an aimed flow is aimed at."""
    settings: dict[str, str] = field(default_factory=dict[str, str])
    box: str = ""
    """Of the store that other tests use too."""


def main() -> None:
    """Serve until standard input ends; answer each order with the status that waitpid gives."""
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        pid = os.fork()
        if pid == 0:
            os._exit(live(order))
        if order.kill_after is not None:
            _kill_after(pid, order.kill_after)
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
        asyncio.run(_flow(order, home, steps))
    except BaseException:  # noqa: BLE001  (whatever it was, this process ends here)
        traceback.print_exc()
        return 1
    return 0


async def _flow(order: Order, home: Path, steps: Steps) -> None:
    def wrap(adapters: Adapters) -> Adapters:
        cluster = tap(adapters.cluster, _refuse_jobs) if order.flow == "failing submit" else adapters.cluster
        blobs = boxed(adapters.blobs, order.box) if order.box else adapters.blobs
        return msgspec.structs.replace(
            adapters, cluster=steps.wrap(cluster, "cluster"), blobs=steps.wrap(blobs, "blobs")
        )

    aimed = AIMED.get(order.flow)
    policy = HASTY if aimed or order.flow == "resume" else PATIENT
    async with platform_at(home, wrap=wrap, policy=policy, settings=order.settings) as platform:
        await (aimed(platform, order.target) if aimed else FLOWS[order.flow](platform, home))


def _kill_after(pid: int, seconds: float) -> None:
    """Kill a child, unless it ends before."""
    child = os.pidfd_open(pid)
    try:
        if not select.select([child], [], [], seconds)[0]:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(child)


def _refuse_jobs(method: str, _: tuple[Any, ...]) -> None:
    if method == "create_job":
        raise Unavailable("the cluster takes no jobs: try again later")


def _write(trace: int, call: str) -> None:
    os.write(trace, f"{call}\n".encode())


if __name__ == "__main__":
    main()
