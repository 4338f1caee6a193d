"""A run of retention killed at any call of a port: the next one finishes it, and nothing is audited twice."""

import asyncio
import os
from collections import Counter
from datetime import timedelta

import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.retention_stage import copy, everything, keeper, push, reaped
from lifecycle.stage import Stage
from lifecycle.taps import Killed, Life
from support.stores import boxed

from livecalc.blobs.port import BlobStore
from livecalc.lifecycle.retention.curator import RetentionPolicy

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]
JOBS = ("j-000000000001", "j-000000000002")
POLICY = RetentionPolicy(concurrency=1, patience=timedelta(0))
"""One after the other, so that its steps are always the same; and whoever comes next does not wait."""
FULL = os.environ.get("LIVECALC_ATTACK") == "full"
STRIDE = {"directory": 1, "azure": 3} if FULL else {"directory": 3, "azure": 17}
"""One in so many steps; odd, so that half of the deaths are before a call and half after."""


async def run(stage: Stage, blobs: BlobStore, life: Life, holder: str) -> None:
    wrapped = keeper(stage, 31, holder=holder, blobs=life.wrap(blobs), cluster=life.wrap(stage.cluster), policy=POLICY)
    report = await wrapped.apply()
    assert report.clean, report


async def test_killed_at_any_step_and_continued(stage: Stage, store: str) -> None:
    await push(stage)
    await reaped(stage, "q4", *JOBS)
    await push(stage, "1" * 64)

    containers = await stage.blobs.list_containers()

    async def another(name: str) -> BlobStore:
        blobs = boxed(stage.blobs, name)
        await copy(stage.blobs, containers, blobs)
        return blobs

    whole = Life()
    blobs = await another("whole")
    await run(stage, blobs, whole, "first")
    assert await everything(blobs) == {}
    steps = len(whole.calls)
    assert steps > 40, whole.calls
    begun = Counter[str]()

    async def attempt(number: int) -> None:
        blobs = await another(f"at-{number}")
        life = Life(dies_at=number, after=number % 2 == 0)
        with pytest.raises((Killed, BaseExceptionGroup)):
            await run(stage, blobs, life, "first")
        assert life.dead
        begun["marked"] += any(
            name.startswith("retention/") for name in (await everything(blobs)).get("results-acme", {})
        )
        await run(stage, blobs, Life(), "second")

        assert await everything(blobs) == {}, life.calls
        again = keeper(stage, 31, holder="third", blobs=blobs, policy=POLICY)
        assert (await again.apply()).outcomes == ()
        records = await again.audit.read("acme", limit=10_000)
        said = Counter(
            (
                record.phase,
                *[str(record.detail[kind]) for kind in ("archive", "job", "bundle") if kind in record.detail],
            )
            for record in records
            if record.operation == "retention-delete"
        )
        assert len(said) == 2 * 5, (number, life.calls, said)
        assert set(said.values()) == {1}, (number, life.calls, said)
        assert (await again.audit.verify("acme")).holds

    slots = asyncio.Semaphore(4)

    async def bounded(number: int) -> None:
        async with slots:
            await attempt(number)

    async with asyncio.TaskGroup() as group:
        for number in range(1, steps, STRIDE[store]):
            group.create_task(bounded(number))
    assert begun["marked"]
