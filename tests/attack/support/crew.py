"""Start victims, let them be killed, and go through all the places where a flow can be killed, or a share of them."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import anyio.to_thread
import msgspec
from attack.support.steps import Death, Instant
from attack.support.victim import Order
from msgspec import Struct

FULL = os.environ.get("LIVECALC_ATTACK") == "full"
STEPS = {"reap": 54, "submit": 32, "failing submit": 34, "collect": 21, "recompute": 89}
"""How many calls of ports each flow makes. A change of the platform changes them, and then they are to be set anew."""
SHARE = 20
"""Without `LIVECALC_ATTACK=full` one in so many places is tried, besides the first and the last."""
TESTS = Path(__file__).parents[2]
"""Where victims import from."""


class Life(Struct, frozen=True, kw_only=True):
    """What became of a victim."""

    exit: int
    """Negative: the signal that ended it."""
    steps: list[str]

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.exit == -signal.SIGKILL


class Crew:
    """So many processes that start victims; each has one victim at a time."""

    def __init__(self, size: int) -> None:
        command = [sys.executable, "-m", "attack.support.victim"]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) for _ in range(size)
        ]
        self._free: asyncio.Queue[subprocess.Popen[bytes]] = asyncio.Queue()
        for process in self._processes:
            self._free.put_nowait(process)
        self.size = size

    async def live(self, flow: str, home: Path, death: Death | None = None) -> Life:
        """Let a victim do a flow on a home."""
        return await self.obey(Order(flow=flow, home=str(home), trace=str(home.parent / "trace"), death=death))

    async def obey(self, order: Order) -> Life:
        """Let a victim do what an order says."""
        process = await self._free.get()
        try:
            answer = await anyio.to_thread.run_sync(_ask, process, msgspec.json.encode(order))
        finally:
            self._free.put_nowait(process)
        return Life(exit=int(answer), steps=_lines(Path(order.trace)))

    async def count(self, flow: str, home: Path) -> None:
        """Let a flow be done to its end, and see that it has as many steps as the tests know of."""
        life = await self.live(flow, home)
        steps = len(life.steps)
        assert life.exit == 0
        assert steps == STEPS[flow], f"STEPS is to say {flow!r}: {steps}. They are:\n" + "\n".join(life.steps)

    async def kill(self, flow: str, home: Path, death: Death) -> Life:
        """Let a victim be killed, and see that it was so."""
        life = await self.live(flow, home, death)
        assert life.killed, f"{flow} ended with {life.exit} instead of being killed {describe(death)}"
        return life

    async def each(self, deaths: Sequence[Death], attempt: Callable[[Death], Awaitable[None]]) -> None:
        """Do an attempt for each death, as many at once as there are processes, and raise all failures together."""
        slots = asyncio.Semaphore(self.size)
        failures: list[Exception] = []

        async def one(death: Death) -> None:
            async with slots:
                try:
                    await attempt(death)
                except Exception as error:  # noqa: BLE001  (all of them are raised below)
                    error.add_note(f"when it was killed {describe(death)}")
                    failures.append(error)

        async with asyncio.TaskGroup() as group:
            for death in deaths:
                group.create_task(one(death))
        if failures:
            raise ExceptionGroup(f"{len(failures)} of {len(deaths)} deaths left something wrong", failures)

    def close(self) -> None:
        """End all processes, and see that they ended well."""
        for process in self._processes:
            process.communicate()
        assert [process.returncode for process in self._processes] == [0] * len(self._processes)


@contextmanager
def open_crew(size: int = 3) -> Generator[Crew]:
    crew = Crew(size)
    try:
        yield crew
    finally:
        crew.close()


def choose(flow: str, seed: int) -> list[Death]:
    """All places where a flow can be killed, or a share of them with the first and the last; says how many."""
    steps = STEPS[flow]
    every = [Death(step=step, instant=instant) for step in range(1, steps + 1) for instant in get_args(Instant)]
    chosen = every
    if not FULL:
        chance = random.Random(seed)  # noqa: S311  (a choice of tests)
        chosen = [every[0], *chance.sample(every[1:-1], max(1, len(every) // SHARE - 2)), every[-1]]
    print(f"{flow}: {steps} steps, {len(chosen)} deaths, seed {seed}")  # noqa: T201  (the attack's figures)
    return chosen


def describe(death: Death) -> str:
    return f"{death.instant} step {death.step}"


def _lines(trace: Path) -> list[str]:
    return trace.read_text().splitlines() if trace.exists() else []


def _ask(process: "subprocess.Popen[bytes]", order: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(order + b"\n")
    process.stdin.flush()
    return process.stdout.readline()
