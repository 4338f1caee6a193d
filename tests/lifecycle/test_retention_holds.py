"""Legal holds: who is held stays, until it is released; and a hold and a run that meet find out."""

from typing import Any

import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.retention_stage import everything, keeper, push, reaped
from lifecycle.stage import ANA, BOB, Stage
from lifecycle.taps import tap

from livecalc.domain.errors import AlreadyExists, Conflict, InvalidInput, NotFound

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]
JOB = "j-000000000001"


async def test_a_held_archive_stays_until_it_is_released(stage: Stage) -> None:
    await push(stage)
    manifest = await reaped(stage, "q4", JOB)
    path = f"q4/{manifest.timestamp}"
    before = await everything(stage.blobs)
    holds = keeper(stage, 10).holds
    hold = await holds.place(ANA, "q4", manifest.timestamp, reason=" audit\n 2026-17 ", request_id="h")
    assert (hold.reason, hold.held_by) == ("audit 2026-17", "ana")
    assert await holds.list_holds(ANA) == [hold]
    assert await holds.list_holds(BOB) == []
    with pytest.raises(AlreadyExists, match="is held already"):
        await holds.place(ANA, "q4", manifest.timestamp, reason="again", request_id="h")

    late = keeper(stage, 31)
    assert (await late.decisions())[f"archive {path}"] == ("keep", "held by ana: audit 2026-17")
    assert (await late.apply()).outcomes == ()
    assert {**await everything(stage.blobs), "results-acme": {}} == {**before, "results-acme": {}}

    assert await holds.release(ANA, "q4", manifest.timestamp, request_id="r") == hold
    with pytest.raises(NotFound, match="there is no hold on archive q4/"):
        await holds.release(ANA, "q4", manifest.timestamp, request_id="r")
    assert (await late.apply()).count("deleted") == 3
    assert await everything(stage.blobs) == {}
    for operation in ("retention-hold", "retention-release"):
        assert [record.phase for record in await stage.audited(operation=operation)][:2] == ["intent", "outcome"]


async def test_a_release_whose_answer_was_lost_is_one(stage: Stage) -> None:
    """The store tries again by itself, and finds nothing to delete."""
    await push(stage)
    manifest = await reaped(stage, "q4", JOB)
    hold = await keeper(stage, 0).holds.place(ANA, "q4", manifest.timestamp, reason="why", request_id="h")

    async def lose(name: str, args: tuple[Any, ...]) -> None:
        if name == "delete" and "holds/" in str(args[1]):
            await stage.blobs.delete(*args)

    holds = keeper(stage, 0, blobs=tap(stage.blobs, pause=lose)).holds
    assert await holds.release(ANA, "q4", manifest.timestamp, request_id="r") == hold
    assert await holds.list_holds(ANA) == []
    assert [record.phase for record in await stage.audited(operation="retention-release")] == ["intent", "outcome"]


async def test_a_held_bucket_stays_whole(stage: Stage) -> None:
    await push(stage)
    await reaped(stage, "q4", JOB)
    record = await stage.namespace("fresh")
    await keeper(stage, 0).holds.place(ANA, "fresh", None, reason="it has nothing but a namespace", request_id="h")
    await keeper(stage, 0).holds.place(ANA, "q4", None, reason="all of it", request_id="h")
    assert (await keeper(stage, 31).apply()).outcomes == ()
    assert record.bucket_id == "fresh"


async def test_a_hold_that_comes_late_is_told_so_or_is_heeded(stage: Stage) -> None:
    await push(stage)
    manifest = await reaped(stage, "q4", JOB)
    late = keeper(stage, 31)
    plan = await late.plan()
    await late.holds.place(ANA, "q4", manifest.timestamp, reason="just in time", request_id="h")
    report = await late.curator.apply(plan)
    assert [outcome.result for outcome in report.outcomes] == ["kept", "waiting", "waiting"]
    await late.holds.release(ANA, "q4", manifest.timestamp, request_id="r")

    async def hold(name: str, args: tuple[Any, ...]) -> None:
        if name == "delete" and str(args[1]).endswith("manifest.json"):
            with pytest.raises(Conflict, match="cannot be held: its retention has ended, and the deletion of q4/"):
                await late.holds.place(ANA, "q4", None, reason="too late", request_id="h")

    assert (await keeper(stage, 31, blobs=tap(stage.blobs, pause=hold)).apply()).count("deleted") == 3
    assert await everything(stage.blobs) == {}


@pytest.mark.parametrize(
    ("bucket_id", "timestamp", "reason", "error"),
    [
        ("q4", None, "why", NotFound),
        ("q4", "20260101-000000", "why", NotFound),
        ("Q4", None, "why", InvalidInput),
        ("q4", "../..", "why", InvalidInput),
        ("q4", None, " ", InvalidInput),
        ("q4", None, "x" * 1001, InvalidInput),
    ],
)
async def test_what_cannot_be_held(
    stage: Stage, bucket_id: str, timestamp: str | None, reason: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await keeper(stage, 0).holds.place(ANA, bucket_id, timestamp, reason=reason, request_id="h")
    assert await everything(stage.blobs) == {}


async def test_a_hold_that_cannot_be_read_holds(stage: Stage) -> None:
    manifest = await reaped(stage, "q4")
    await stage.blobs.write("results-acme", "holds/q4/all", b"?")
    late = keeper(stage, 31)
    assert (await late.decisions())[f"archive q4/{manifest.timestamp}"][0] == "keep"
    await late.holds.release(ANA, "q4", None, request_id="r")
    assert (await late.apply()).count("deleted") == 1
