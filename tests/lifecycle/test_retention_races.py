"""Retention against those who need what it deletes at the same moment: submits, holds, and another run of its own."""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.retention_stage import BUNDLE, Keeper, copy, everything, keeper, push, reaped
from lifecycle.stage import ANA, Stage
from lifecycle.taps import Broken, tap
from support.stores import boxed

from livecalc.blobs.port import BlobStore
from livecalc.cluster.port import Cluster
from livecalc.domain.errors import Conflict, NotFound, Unavailable
from livecalc.domain.modelconfig import Config
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.shelves import bundle_shelf
from livecalc.jobs.launch import Launcher, LaunchRequest, WorkerSpec
from livecalc.records.book import JobBook
from livecalc.records.model import SubmittedRecord

pytestmark = pytest.mark.anyio
JOB = "j-000000000001"
EVERYWHERE = pytest.mark.parametrize("store", ADAPTERS, indirect=True)
FULL = os.environ.get("LIVECALC_ATTACK") == "full"
STRIDE = 1 if FULL else 3
CONFIG = msgspec.convert(
    {
        "name": "m",
        "version": "1",
        "scenarios": {"count": 8, "block": 8, "seed": 1},
        "pipeline": {"nodes": [{"id": "n", "engine": "wasm://n.wasm", "inputs": {}, "outputs": {"o": "bus://r/o"}}]},
        "results": ["bus://r/o"],
    },
    Config,
)


async def submit(
    stage: Stage, namespace: NamespaceRecord, blobs: BlobStore | None = None, cluster: Cluster | None = None
) -> SubmittedRecord:
    """Launch a job of the one bundle."""
    store = blobs or stage.blobs
    worker = WorkerSpec(
        image="none", command=("true",), limits={"bundle_bytes": 1 << 20, "log_bytes": 1 << 20}, memory=1 << 30
    )
    launcher = Launcher(cluster=cluster or stage.cluster, blobs=store, book=JobBook(store), worker=worker)
    request = LaunchRequest(
        tenant_id="acme",
        user_id="ana",
        model_bundle_hash=BUNDLE,
        bundle_size=6,
        bundle_shelf=bundle_shelf("acme"),
        config=CONFIG,
        partitions=1,
        deadline_seconds=60,
    )
    return await launcher.launch(namespace, request)


def once(at: Callable[[str, tuple[Any, ...]], bool], do: Callable[[], Awaitable[object]]) -> Any:
    """Do something at the first call of a port that fits."""
    done: list[str] = []

    async def pause(name: str, args: tuple[Any, ...]) -> None:
        if not done and at(name, args):
            done.append(name)
            await do()

    return pause


async def told(run: Keeper) -> list[tuple[str, str | None]]:
    """What the chain says of deletions, oldest first."""
    records = await run.audit.read("acme", limit=10_000)
    return [(each.phase, each.result) for each in reversed(records) if each.operation == "retention-delete"]


async def is_forgotten(stage: Stage, namespace: NamespaceRecord) -> bool:
    """Whether no submit left anything."""
    left = await everything(stage.blobs)
    return await stage.cluster.list_jobs(namespace.name) == [] and not left.get("results-acme")


@EVERYWHERE
async def test_a_submit_that_comes_after_the_mark_is_refused(stage: Stage) -> None:
    await push(stage)
    namespace = await stage.namespace("late")

    async def too_late() -> None:
        with pytest.raises(Conflict, match=f"bundle {BUNDLE} is being deleted, since nothing has needed it"):
            await submit(stage, namespace)

    pause = once(lambda name, args: name == "delete" and args[1] == BUNDLE, too_late)
    assert (await keeper(stage, 31, blobs=tap(stage.blobs, pause=pause)).apply()).count("deleted") == 1
    assert await everything(stage.blobs) == {}
    with pytest.raises(NotFound, match=f"there is no bundle {BUNDLE} any more; push it again"):
        await submit(stage, namespace)
    assert await is_forgotten(stage, namespace)


@EVERYWHERE
async def test_a_submit_that_comes_before_the_look_keeps_its_bundle(stage: Stage) -> None:
    await push(stage)
    namespace = await stage.namespace("early")
    late = keeper(stage, 31)
    plan = await late.plan()
    assert [entry.seen.target.name for entry in plan.due] == [BUNDLE]

    async def clean() -> None:
        report = await late.curator.apply(plan)
        assert [outcome.result for outcome in report.outcomes] == ["kept"]
        assert report.outcomes[0].message.startswith("job j-")

    # The whole run happens between the job's record and the submit's own look.
    pause = once(lambda name, args: name == "stat" and "retention/" in args[1], clean)
    record = await submit(stage, namespace, tap(stage.blobs, pause=pause))
    assert record.model_bundle_hash == BUNDLE
    left = await everything(stage.blobs)
    assert set(left["bundles-acme"]) == {BUNDLE}
    assert not any(name.startswith("retention/") for name in left["results-acme"])
    assert await told(late) == []


async def test_wherever_a_submit_and_a_deletion_meet_one_gives_way(stage: Stage) -> None:
    """The one happens whole between any two steps of the other; planned before, so that nothing tells them."""
    namespace = await stage.namespace("meet")
    met = Counter[str]()

    async def meet(box: str, step: int, *, run_within: bool) -> None:
        blobs = boxed(stage.blobs, box)
        await blobs.write("bundles-acme", BUNDLE, b"bundle")
        plan = await keeper(stage, 31, blobs=blobs).plan()
        calls: list[str] = []
        result: list[SubmittedRecord | None] = []

        async def submitted(store: BlobStore) -> None:
            try:
                result.append(await submit(stage, namespace, store))
            except (Conflict, NotFound):
                result.append(None)

        async def cleaned(store: BlobStore) -> None:
            await keeper(stage, 31, blobs=store).curator.apply(plan)

        outer, inner = (submitted, cleaned) if run_within else (cleaned, submitted)

        async def pause(name: str, _: tuple[Any, ...]) -> None:
            calls.append(name)
            if len(calls) == step:
                await inner(blobs)

        await outer(tap(blobs, pause=pause))
        met["beyond"] += len(calls) < step
        left = await everything(blobs)
        there = BUNDLE in left.get("bundles-acme", {})
        recorded = any(each.startswith("jobs/") for each in left.get("results-acme", {}))
        assert not any(each.startswith("retention/") for each in left.get("results-acme", {})), calls
        if len(calls) >= step:
            [record] = result
            assert (record is not None) == recorded, (box, calls)
            assert there or record is None, (box, calls)
            met["submitted" if record is not None else "refused"] += 1
            met["kept" if there else "deleted"] += 1

    for run_within, steps in ((True, 12), (False, 16)):
        for step in range(1, steps + 1, STRIDE):
            await meet(f"{run_within}-{step}".lower(), step, run_within=run_within)
    assert min(met[each] for each in ("submitted", "refused", "kept", "deleted")) > 0, met
    await stage.ended(namespace.name)


async def test_wherever_a_hold_and_a_deletion_meet_one_gives_way(stage: Stage) -> None:
    """As above: a hold that is confirmed has its archive whole, and one that is refused is not there."""
    await push(stage)
    manifest = await reaped(stage, "q4", JOB)
    containers = await stage.blobs.list_containers()
    met = Counter[str]()

    async def meet(box: str, step: int, *, run_within: bool) -> None:
        blobs = boxed(stage.blobs, box)
        await copy(stage.blobs, containers, blobs)
        before = (await everything(blobs))["diagnostics-acme"]
        plan = await keeper(stage, 31, blobs=blobs).plan()
        calls: list[str] = []

        async def held(store: BlobStore) -> None:
            with suppress(Conflict, NotFound):
                await keeper(stage, 31, blobs=store).holds.place(
                    ANA, "q4", manifest.timestamp, reason="why", request_id="h"
                )
                met["confirmed"] += 1

        async def cleaned(store: BlobStore) -> None:
            await keeper(stage, 31, blobs=store).curator.apply(plan)

        outer, inner = (held, cleaned) if run_within else (cleaned, held)

        async def pause(name: str, _: tuple[Any, ...]) -> None:
            calls.append(name)
            if len(calls) == step:
                await inner(blobs)

        await outer(tap(blobs, pause=pause))
        left = await everything(blobs)
        is_held = bool(await keeper(stage, 31, blobs=blobs).holds.list_holds(ANA))
        assert not is_held or left["diagnostics-acme"] == before, (box, calls)
        assert is_held or len(calls) < step or "diagnostics-acme" not in left, (box, calls)
        met["held" if is_held else "deleted"] += 1

    for run_within, steps in ((True, 14), (False, 30)):
        for step in range(1, steps + 1, STRIDE):
            await meet(f"{run_within}-{step}".lower(), step, run_within=run_within)
    assert met["confirmed"] == met["held"] > 0 < met["deleted"], met


@EVERYWHERE
async def test_a_hold_on_what_was_deleted_just_now_is_not_confirmed(stage: Stage) -> None:
    await push(stage)
    manifest = await reaped(stage, "q4", JOB)
    late = keeper(stage, 31)

    async def clean() -> None:
        assert (await late.apply()).count("deleted") == 3

    pause = once(lambda name, args: name == "write" and "holds/" in args[1], clean)
    holds = keeper(stage, 31, blobs=tap(stage.blobs, pause=pause)).holds
    with pytest.raises(NotFound, match=f"there is no archive q4/{manifest.timestamp}"):
        await holds.place(ANA, "q4", manifest.timestamp, reason="just too late", request_id="h")
    assert await everything(stage.blobs) == {}
    outcome = (await stage.audited(operation="retention-hold"))[-1]
    assert (outcome.phase, outcome.result) == ("outcome", f"there is no archive q4/{manifest.timestamp}")


@EVERYWHERE
async def test_two_runs_side_by_side_tell_each_deletion_once(stage: Stage) -> None:
    await push(stage)
    for number in range(4):
        await reaped(stage, f"q{number}", f"j-00000000000{number}")
    runs = [keeper(stage, 31, holder=f"run-{number}") for number in range(2)]
    plans = [await run.plan() for run in runs]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run.curator.apply(plan)) for run, plan in zip(runs, plans, strict=True)]
    deleted = Counter(each.target.key for task in tasks for each in task.result().outcomes if each.result == "deleted")
    assert set(deleted.values()) == {1}
    assert all(task.result().clean for task in tasks)
    # What waited for what the other had in hand goes with the next run.
    await keeper(stage, 31).apply()
    assert await everything(stage.blobs) == {}
    assert Counter(await told(runs[0])) == {("intent", None): 9, ("outcome", "ok"): 9}
    # A plan that was made before and is carried out after has nothing to tell.
    report = await runs[1].curator.apply(plans[1])
    assert {outcome.result for outcome in report.outcomes} == {"elsewhere", "waiting"}
    assert len(await told(runs[0])) == 18
    assert await everything(stage.blobs) == {}


async def test_an_outcome_stands_only_for_its_own_deletion(stage: Stage) -> None:
    """Neither a mark that could not be taken away nor one that a hold of the store met tells two stories."""
    await push(stage)
    await reaped(stage, "q4", JOB)
    stuck = Broken(lambda: Unavailable("stuck"), lambda name, args: name == "delete" and "retention/" in str(args[1]))
    first = await keeper(stage, 31, blobs=stuck.wrap(stage.blobs)).apply()
    assert [outcome.result for outcome in first.outcomes] == ["failed", "waiting", "waiting"]
    before = [("intent", None), ("outcome", "ok")]
    assert await told(keeper(stage, 31)) == before
    # It comes back under the same name, by somebody's hand: another deletion, with a record of its own.
    path = f"q4/{first.outcomes[0].target.name.partition('/')[2]}/events.json"
    await stage.blobs.write("diagnostics-acme", path, b"[]")
    second = await keeper(stage, 31.1).apply()
    assert second.outcomes[0].result == "kept"
    assert second.outcomes[0].message == "an earlier run has concluded it: ok"
    assert await told(keeper(stage, 31)) == before
    assert (await keeper(stage, 31.2).apply()).count("deleted") == 3
    assert await told(keeper(stage, 31)) == before * 4
    assert await everything(stage.blobs) == {}


async def test_a_mark_of_what_stays_after_all_goes(stage: Stage) -> None:
    """A run whose clock was wrong is killed; the next one sees that the date is not past."""
    manifest = await reaped(stage, "q4", JOB)
    path = f"q4/{manifest.timestamp}"
    broken = Broken(lambda: Unavailable("it is slow"), lambda name, _: name == "delete")
    await keeper(stage, 3650, blobs=broken.wrap(stage.blobs)).apply()
    with pytest.raises(Conflict, match="cannot be held: its retention has ended"):
        await keeper(stage, 1).holds.place(ANA, "q4", None, reason="now", request_id="h")

    today = keeper(stage, 1)
    [begun] = (await today.plan()).begun
    assert (begun.mark.target.name, begun.kept) == (path, "kept for another 28 days")
    report = await today.apply()
    assert [(each.target.name, each.result) for each in report.outcomes] == [(path, "kept")]
    assert report.clean
    assert await told(today) == [("intent", None), ("outcome", "kept after all: kept for another 28 days")]
    await today.holds.place(ANA, "q4", manifest.timestamp, reason="now", request_id="h")
    assert (await stage.diagnostics.verify(ANA, "q4", manifest.timestamp)).holds
    assert (await today.plan()).begun == ()


async def test_a_mark_that_cannot_be_read_is_named_and_keeps_what_it_marks(stage: Stage) -> None:
    manifest = await reaped(stage, "q4")
    name = f"retention/diagnostics-acme/q4/{manifest.timestamp}"
    await stage.blobs.write("results-acme", name, b"?")
    late = keeper(stage, 31)
    report = await late.apply()
    assert [outcome.result for outcome in report.outcomes] == ["elsewhere"]
    [problem] = report.problems
    assert problem.startswith(f"tenant acme: the mark {name} cannot be read, so what it marks is neither deleted nor ")
    assert problem.endswith("delete that blob from results-acme, and the next run begins anew")
    await stage.blobs.delete("results-acme", name)
    assert (await late.apply()).count("deleted") == 1


async def test_a_job_whose_bucket_has_a_namespace_again_stays(stage: Stage) -> None:
    """Made after the plan, so that only the last look can see it."""
    await push(stage)
    await reaped(stage, "q4", JOB)
    late = keeper(stage, 31)
    plan = await late.plan()
    await stage.namespace("q4")
    report = await late.curator.apply(plan)
    assert [(each.result, each.message) for each in report.outcomes] == [
        ("deleted", report.outcomes[0].message),
        ("kept", "its bucket has a namespace"),
        ("waiting", f"jobs/{JOB} is still there"),
    ]


async def test_a_job_that_cannot_be_read_any_more_stays(stage: Stage) -> None:
    record = await stage.namespace("q4")
    submitted = await stage.job(record, JOB, "true")
    await stage.ended(record.name)
    late = keeper(stage, 31, cluster=_Gone(stage.cluster))  # type: ignore[arg-type]  (it passes everything on)
    plan = await late.plan()
    assert [entry.seen.target.name for entry in plan.due] == [JOB]
    await stage.hands.change("results-acme", f"jobs/{submitted.job_id}/submitted.json", lambda raw: b"?" * len(raw))
    report = await late.curator.apply(plan)
    assert report.outcomes[0].result == "kept"
    assert "cannot be read" in report.outcomes[0].message


class _Gone:
    """A cluster without namespaces."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def list_namespaces(self, labels: Any) -> Any:
        return msgspec.structs.replace(await self._cluster.list_namespaces(labels), items=())

    async def get_namespace(self, name: str) -> NamespaceRecord:
        raise NotFound(f"there is no namespace {name}")
