"""A reaper that is stopped for longer than a claim lasts, as by SIGSTOP, and goes on when another has finished."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import msgspec
import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.composed import Composed
from lifecycle.stage import ANA, POLICY, Stage
from lifecycle.taps import tap

from livecalc.domain.errors import Reaping
from livecalc.lifecycle.outcome import ReapOutcome

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]
T = TypeVar("T")
NAME = "livecalc-bucket-b"
GONE = f"namespace {NAME} is gone: another reaper was faster"


class Paused:
    """From the first call that `at` tells on, no call of a process goes on before `go_on`, its renewals neither."""

    def __init__(self, at: Callable[[str, tuple[Any, ...]], bool] = lambda _, __: False) -> None:
        self._at = at
        self.stopped, self.go_on = asyncio.Event(), asyncio.Event()

    def wrap(self, port: T) -> T:
        return tap(port, pause=self._wait)

    async def _wait(self, call: str, args: tuple[Any, ...]) -> None:
        if self._at(call, args):
            self.stopped.set()
        if self.stopped.is_set():
            await self.go_on.wait()


async def finalized(stage: Stage) -> None:
    await stage.namespace("b")
    await stage.pod(NAME, "worker-1", "echo words")
    await stage.local.create_volume_claim(NAME, "data")
    await stage.manager().finalize_namespace(ANA, NAME, force=False, request_id="f")


async def overtaken(stage: Stage, slow: Stage, paused: Paused) -> ReapOutcome | Reaping:
    """What the slow one says in the end, when it was stopped, and a sweep has finished meanwhile."""

    async def reap() -> ReapOutcome | Reaping:
        record = await stage.local.get_namespace(NAME)
        try:
            return await slow.reaper("slow").reap_one(record, reason="finalized", request_id="r")
        except Reaping as error:
            return error

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        reaping = group.create_task(reap())
        await paused.stopped.wait()
        report = await stage.reaper("second").sweep()
        assert (report.successful, report.failed) == (1, 0), report.outcomes
        assert await stage.is_gone(NAME)
        paused.go_on.set()
    return reaping.result()


@pytest.mark.parametrize(
    ("policy", "call"),
    [
        ("best-effort", "list_events"),
        ("required", "list_events"),
        ("best-effort", "write pods.json"),
        ("required", "write manifest.json"),
        ("best-effort", "delete_namespace"),
        ("required", "list_volumes"),
    ],
)
async def test_what_another_has_finished_is_neither_waived_nor_recorded_again(
    stage: Stage, policy: str, call: str
) -> None:
    await finalized(stage)
    method, _, blob = call.partition(" ")
    paused = Paused(lambda name, args: name == method and (not blob or args[1].endswith(blob)))
    stage = stage.with_parts(policy=msgspec.structs.replace(POLICY, archive_policy=policy))
    slow = stage.with_parts(cluster=paused.wrap(stage.cluster), blobs=paused.wrap(stage.blobs))
    answer = await overtaken(stage, slow, paused)
    assert (type(answer), str(answer)) == (Reaping, GONE)
    assert [each.phase for each in await stage.audited(operation="reap")] == ["intent", "outcome"]
    assert await stage.audited(operation="waive-archive") == []
    manifest = await stage.manifest("b")
    assert (await stage.diagnostics.verify(ANA, "b", manifest.timestamp)).holds


async def test_a_namespace_that_somebody_else_took_away_has_an_outcome(stage: Stage) -> None:
    """By hand: no reaper has finished it, so this one says what became of it."""
    await finalized(stage)

    async def take_away(call: str, _: tuple[Any, ...]) -> None:
        if call == "list_volumes":
            await stage.local.patch_namespace(
                await stage.local.get_namespace(NAME), annotations={}, remove_finalizer="livecalc.io/reap"
            )

    report = await stage.with_parts(cluster=tap(stage.cluster, pause=take_away)).reaper().sweep()
    assert (report.successful, report.failed) == (1, 0)
    assert [each.phase for each in await stage.audited(operation="reap")] == ["intent", "outcome"]


async def test_a_log_that_comes_after_the_manifest_is_named_by_verification(stage: Stage) -> None:
    """The other had to go without it: the pod was gone. Nothing that the manifest lists is touched by it."""
    await finalized(stage)
    paused = Paused()

    class Slow(Composed):
        async def read_log(self, *args: Any, **options: Any) -> AsyncIterator[bytes]:
            async for chunk in self.cluster.read_log(*args, **options):
                yield chunk
            paused.stopped.set()
            await paused.go_on.wait()

    slow = stage.with_parts(cluster=paused.wrap(Slow(stage.cluster).port()), blobs=paused.wrap(stage.blobs))
    hidden = Composed(stage.cluster, hidden=frozenset({"worker-1"})).port()
    answer = await overtaken(stage.with_parts(cluster=hidden), slow, paused)
    assert (type(answer), str(answer)) == (Reaping, GONE)
    manifest = await stage.manifest("b")
    assert [(log.state, log.blob) for log in manifest.containers] == [("lost", None)]
    late = f"b/{manifest.timestamp}/logs/worker-1.log"
    assert await stage.blob(late) == b"words\n"
    assert (await stage.blobs.stat("diagnostics-acme", late)).metadata["namespace_uid"] == manifest.namespace_uid
    found = await stage.diagnostics.verify(ANA, "b", manifest.timestamp)
    assert found.differences == ["logs/worker-1.log is not in the manifest"]
