"""Let racers loose on one home, wave after wave, and bring them to rest."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from attack.interleavings_world import TENANTS, WITNESS, open_world, principal
from support.bundles import bundle, model_files
from support.waiting import eventually

ROLES = ("submit", "submit", "heartbeat", "heartbeat", "finalize", "clock")
"""Who acts once on each bucket in each wave; one process each."""
REAPERS = 2
BUCKETS = 50
_PATIENCE = 120.0
"""Seconds for one wave; a racer that hangs fails the test."""
_TESTS = Path(__file__).parents[1]
Racer = asyncio.subprocess.Process


@contextmanager
def quick_home() -> Generator[Path]:
    """A home in memory where there is such a place: the race is of processes, not of disks."""
    memory = Path("/dev/shm")  # noqa: S108  (a new folder with a random name)
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        (home / WITNESS).mkdir()
        yield home


async def race(home: Path, *, seed: int, waves: int) -> None:
    """Run all waves; afterwards nothing runs in the home, and its journals say what was done."""
    digest = await _push(home)
    async with _started(home, seed, digest) as (actors, reapers):
        for wave in range(waves):
            await _tell(actors, f"go {wave} {BUCKETS}")
            await _hear(actors, "done")
        await _rest(actors)
        await _until_quiet(home)
        await _rest(reapers)


@asynccontextmanager
async def _started(home: Path, seed: int, digest: str) -> AsyncGenerator[tuple[list[Racer], list[Racer]]]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])}
    racers: list[Racer] = []
    try:
        for number, role in enumerate([*ROLES, *["reaper"] * REAPERS]):
            command = [sys.executable, "-m", "attack.interleavings_racer", role, f"{role}-{number}", str(home)]
            racer = await asyncio.create_subprocess_exec(
                *command, str(seed), digest, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=env
            )
            racers.append(racer)
        await _hear(racers, "ready")
        yield racers[: len(ROLES)], racers[len(ROLES) :]
        assert [await racer.wait() for racer in racers] == [0] * len(racers)
    finally:
        for racer in racers:
            if racer.returncode is None:
                racer.kill()
                await racer.wait()


async def _push(home: Path) -> str:
    """Store the bundle of each tenant, and return its hash."""
    path = home.parent / "bundle.zip"
    path.write_bytes(bundle(model_files()))
    digest = ""
    async with open_world(home, "before") as world:
        for bucket in range(TENANTS):
            pushed = await world.platform.bundles.push(principal(bucket).tenant_key, path)
            digest = pushed.model_bundle_hash
    return digest


async def _until_quiet(home: Path) -> None:
    """Wait until no pod runs any more: what is idle then stays so."""
    async with open_world(home, "between") as world:

        async def quiet() -> bool:
            spaces = (await world.cluster.list_namespaces({})).items
            pods = [pod for space in spaces for pod in await world.cluster.list_pods(space.name)]
            return not any(pod.alive for pod in pods)

        await eventually(quiet, within=60.0)


async def _rest(racers: Sequence[Racer]) -> None:
    await _tell(racers, "rest")
    await _hear(racers, "resting")


async def _tell(racers: Sequence[Racer], words: str) -> None:
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(f"{words}\n".encode())
        await racer.stdin.drain()


async def _hear(racers: Sequence[Racer], word: str) -> None:
    async with asyncio.timeout(_PATIENCE):
        for racer in racers:
            assert racer.stdout is not None
            said = (await racer.stdout.readline()).decode().strip()
            assert said == word, f"process {racer.pid} said {said!r} instead of {word!r}; its errors are above"
