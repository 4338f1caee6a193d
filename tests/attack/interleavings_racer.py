"""One racer among many: `python -m attack.interleavings_racer ROLE NAME HOME SEED HASH`.

Reads `go WAVE BUCKETS` and acts once on each bucket, in an order and at moments of its own; says `done` after each
wave. A reaper sweeps from the first word on until `rest`. After `rest` everybody prints what became of his acts.
"""

import asyncio
import logging
import random
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from attack.interleavings_world import LIMIT, OPERATION, World, open_world, principal

from livecalc.domain.buckets import namespace_name
from livecalc.domain.errors import LivecalcError
from livecalc.domain.namespaces import LAST_ACTIVITY, Status
from livecalc.domain.timestamps import format_timestamp
from livecalc.jobs.service import SubmitRequest

AT_ONCE = 4
"""How many acts of one racer may be under way at once."""


class Racer:
    """Acts on buckets, and notes the end of each act: done, or the reason of its refusal."""

    def __init__(self, world: World, role: str, rng: random.Random, digest: str) -> None:
        self._world = world
        self._rng = rng
        self._digest = digest
        self._act: Callable[[int], Awaitable[str]] = {
            "submit": self._submit,
            "heartbeat": self._heartbeat,
            "finalize": self._finalize,
            "clock": self._let_time_pass,
        }[role]
        self._role = role

    async def wave(self, number: int, buckets: int) -> None:
        """Act once on each bucket. All racers go through them in one order, so that they meet."""
        order = list(range(buckets))
        random.Random(number).shuffle(order)  # noqa: S311  (not for secrets)
        turn = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for bucket in order:
                group.create_task(self._one(bucket, self._rng.random() * 0.03, turn))

    async def _one(self, bucket: int, pause: float, turn: asyncio.Semaphore) -> None:
        async with turn:
            await asyncio.sleep(pause)
            OPERATION.set(self._role)
            try:
                end = await self._act(bucket)
            except LivecalcError as error:
                self._world.journal.write("refused", bucket=bucket, error=type(error).__name__, reason=error.detail)
            else:
                self._world.journal.write("done", bucket=bucket, end=end)

    async def _submit(self, bucket: int) -> str:
        world, owner = self._world, principal(bucket)
        chance = self._rng.random()
        if chance < 0.1:
            _, new = await world.platform.namespaces.create_namespace(owner, f"b-{bucket}", request_id="create")
            return "created" if new else "found"
        async with world.submitting(bucket):
            request = SubmitRequest(bucket_id=f"b-{bucket}", model_bundle_hash=self._digest, partitions=1)
            submitted = await world.platform.jobs.submit(owner, request, request_id="submit")
            world.journal.write("submitted", bucket=bucket, job=submitted.job_id)
        if chance < 0.25:
            job = await world.platform.jobs.cancel(owner, submitted.job_id, request_id="cancel")
            return f"cancelled: {job.state}"
        return "submitted"

    async def _heartbeat(self, bucket: int) -> str:
        beat = await self._world.platform.namespaces.update_namespace_activity(namespace_name(f"b-{bucket}"))
        return "written" if beat else "not due"

    async def _finalize(self, bucket: int) -> str:
        force = self._rng.random() < 0.1
        view = await self._world.platform.namespaces.finalize_namespace(
            principal(bucket), namespace_name(f"b-{bucket}"), force=force, request_id="finalize"
        )
        return view.status

    async def _let_time_pass(self, bucket: int) -> str:
        """A day without a sign of life, unless a submit is under way: no submit takes a day."""
        cluster = self._world.cluster
        async with self._world.passing_time(bucket):
            record = await cluster.get_namespace(namespace_name(f"b-{bucket}"))
            if record.status is not Status.ACTIVE:
                return "no need"
            long_ago = await cluster.now() - LIMIT - timedelta(hours=1 + self._rng.random())
            await cluster.patch_namespace(record, annotations={LAST_ACTIVITY: format_timestamp(long_ago)})
        return "aged"


class _Told(logging.Handler):
    """What the cleanup worker tells the people who read its log."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.INFO)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        self._world.journal.write("log", level=record.levelname, text=record.getMessage())


async def sweep_until(world: World, rest: asyncio.Event, rng: random.Random) -> None:
    """Sweep again and again, the last time after `rest` until nothing is eligible."""
    logger = logging.getLogger("livecalc.cleanup")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(_Told(world))
    while True:
        resting = rest.is_set()
        report = await world.platform.reaper.sweep()
        counts = {name: getattr(report, name) for name in ("successful", "failed", "stamped", "kept", "elsewhere")}
        world.journal.write("sweep", problems=list(report.problems), notices=list(report.notices), **counts)
        if resting and not (await world.platform.reaper.plan()).eligible:
            return
        await asyncio.sleep(rng.random() * 0.05)


async def act(world: World, role: str, rng: random.Random, digest: str) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    rest = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        racer = None if role == "reaper" else Racer(world, role, rng, digest)
        if role == "reaper":
            group.create_task(sweep_until(world, rest, rng))
        _say("ready")
        while (words := (await reader.readline()).decode().split()) and words[0] == "go":
            if racer is not None:
                await racer.wave(int(words[1]), int(words[2]))
            _say("done")
        rest.set()
    _say("resting")


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main(role: str, name: str, home: Path, seed: str, digest: str) -> None:
    async with open_world(home, name, seed=seed) as world:
        await act(world, role, random.Random(f"{seed}/{name}"), digest)  # noqa: S311  (not for secrets)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], sys.argv[5]))
