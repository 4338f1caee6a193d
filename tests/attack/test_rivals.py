"""Two cleanup workers and a person at one namespace at once: one archive, one receipt; losers say who has it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
from attack.support.crew import FULL
from contracts.blob_adapters import ADAPTERS
from lifecycle.stage import ANA, Stage, open_stage
from lifecycle.taps import tap
from support.stores import boxed_store

from livecalc.cluster.local import LocalCluster
from livecalc.cluster.port import Cluster
from livecalc.domain.errors import Conflict, NotFound, Reaping
from livecalc.domain.namespaces import STATUS, Status
from livecalc.domain.receipts import ArchiveReceipt
from livecalc.lifecycle.outcome import SweepReport
from livecalc.wire.namespaces import Reaped

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
ROUNDS = 60 if FULL else 3


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def stages(adapter: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[list[Stage]]:
    """One home and one store, opened by three as by three processes."""
    place = str(request.getfixturevalue("azurite")) if adapter == "azure" else ""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(open_stage(tmp_path, adapter, place))
        policy = msgspec.structs.replace(first.policy, claim_timeout=30.0)
        opened = [first.with_parts(policy=policy)]
        for _ in range(2):
            cluster = LocalCluster(tmp_path / "cluster")
            stack.push_async_callback(cluster.close)
            blobs = await stack.enter_async_context(boxed_store(adapter, place or str(tmp_path), first.box))
            opened.append(first.with_parts(cluster=cluster, blobs=blobs, policy=policy))
        yield opened


async def test_one_archive_one_receipt_and_the_losers_say_who_has_it(stages: list[Stage]) -> None:
    plain = stages[0]
    winners: Counter[str] = Counter()
    for number in range(ROUNDS):
        bucket_id = f"b-{number}"
        record = await plain.namespace(bucket_id)
        await plain.pod(record.name, "worker-1", "echo words")
        await plain.annotate(record, {STATUS: Status.FINALIZED})
        receipts: list[ArchiveReceipt] = []

        slow = number % 3 == 2
        claimed = asyncio.Event()
        first, second, third = stages
        one, two = (
            each.with_parts(cluster=_worker(each, receipts, claimed if slow else None)) for each in (first, second)
        )
        person = third.with_parts(cluster=_person(third, receipts, claimed))
        answers = await asyncio.gather(
            one.reaper("cleanup-one").sweep(), two.reaper("cleanup-two").sweep(), _ask(person, bucket_id)
        )
        winner = _check(answers, bucket_id)
        winners[winner] += 1

        manifest = await plain.manifest(bucket_id)
        assert manifest.holder == winner
        assert (await plain.diagnostics.verify(ANA, bucket_id, manifest.timestamp)).holds
        assert len({receipt.manifest_sha256 for receipt in receipts}) == 1
        audited = [each for each in await plain.audited(operation="reap") if each.bucket_id == bucket_id]
        assert [each.phase for each in audited] == ["intent", "outcome"]
        assert await plain.is_gone(record.name)
    assert winners["person"] >= ROUNDS // 3
    print(f"{ROUNDS} rounds, won by {dict(winners)}")  # noqa: T201  (the attack's figures)


def _worker(stage: Stage, receipts: list[ArchiveReceipt], claimed: asyncio.Event | None) -> Cluster:
    """A cleanup worker's cluster; with `claimed` it has planned, and is slow to claim."""

    async def wait(call: str, _: tuple[object, ...]) -> None:
        if call == "patch_namespace" and claimed is not None:
            await claimed.wait()

    return tap(stage.cluster, after=lambda call, args: _note(call, args, receipts), pause=wait)


def _person(stage: Stage, receipts: list[ArchiveReceipt], claimed: asyncio.Event) -> Cluster:
    def note(call: str, args: tuple[object, ...]) -> None:
        _note(call, args, receipts)
        if call == "patch_namespace":
            claimed.set()

    return tap(stage.cluster, after=note)


def _note(call: str, args: tuple[object, ...], receipts: list[ArchiveReceipt]) -> None:
    if call == "delete_namespace" and isinstance(args[1], ArchiveReceipt):
        receipts.append(args[1])


async def _ask(stage: Stage, bucket_id: str) -> Reaped | Reaping | NotFound | Conflict:
    name = f"livecalc-bucket-{bucket_id}"
    try:
        return await stage.manager("person").reap_namespace(ANA, name, bucket_id=bucket_id, force=True, request_id="r")
    except (Reaping, NotFound, Conflict) as error:
        return error


def _check(answers: tuple[SweepReport, SweepReport, Reaped | Exception], bucket_id: str) -> str:
    """See that one has won and the others know it; returns the winner."""
    first, second, person = answers
    won = {
        "cleanup-one": first.successful == 1,
        "cleanup-two": second.successful == 1,
        "person": isinstance(person, Reaped) and person.success,
    }
    assert sum(won.values()) == 1, answers
    assert (first.failed, second.failed) == (0, 0), answers
    winner = next(name for name, has_won in won.items() if has_won)
    if winner != "person":
        text = str(getattr(person, "detail", person))
        assert isinstance(person, Reaping | NotFound | Conflict)
        assert f"is being reaped by {winner}" in text or f"namespace livecalc-bucket-{bucket_id}" in text, text
    return winner
