"""A line to the blob store that breaks while namespaces are reaped: each archive is whole, or as its policy says."""

import hashlib
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from attack.support.crew import FULL
from lifecycle.stage import ANA, POLICY, Stage, open_stage
from msgspec.structs import replace
from support.faults import Choose, Fault, Proxy, Request, faulty, hasty, weather
from support.stores import boxed

from livecalc.domain.namespaces import STATUS, Status
from livecalc.domain.tasks import Statement
from livecalc.records import paths

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
SEED = 20_261_125
PATIENT = replace(POLICY, claim_timeout=30.0, deadline=120.0)
COPY = b"0123456789abcdef" * (5 << 16)
"""More than a block."""
KINDS = {
    "500": Fault(status=500),
    "429": Fault(status=429, retry_after="0"),
    "cut on the way there": Fault(request_bytes=0),
    "cut in the middle of the way there": Fault(request_bytes=100),
    "cut on the way back": Fault(answer_bytes=50),
    "answer lost": Fault(answer_lost=True),
}
_COUNT = 40
"""The least number of requests of a reap; the attack goes through all of them."""


@pytest.fixture
async def proxy(azurite: str) -> AsyncIterator[Proxy]:
    async with faulty(azurite) as opened:
        yield opened


@pytest.fixture
async def stage(tmp_path: Path, azurite: str) -> AsyncIterator[Stage]:
    """Buckets are made over the plain line; reaping goes over the other."""
    async with open_stage(tmp_path, "azure", azurite) as opened:
        yield opened.with_parts(policy=PATIENT)


async def reap(stage: Stage, proxy: Proxy, choose: Choose, **policy: str) -> bool:
    """Sweep once over the broken line; tells whether all went well."""
    proxy.choose = lambda _: None
    async with hasty(proxy.connection_string) as store:
        proxy.seen.clear()
        proxy.faults.clear()
        proxy.choose = choose
        broken = stage.with_parts(blobs=boxed(store, stage.box), policy=replace(PATIENT, **policy))
        report = await broken.reaper(f"worker-{len(policy)}").sweep()
    return report.clean and report.successful == 1


async def populated(stage: Stage, bucket_id: str) -> None:
    """A finalized bucket with a worker that stored a large log, and a foreign pod with a violation."""
    record = await stage.namespace(bucket_id)
    await stage.local.create_volume_claim(record.name, "data")
    statement = Statement(
        state="succeeded", log_attempt=0, log_sha256=hashlib.sha256(COPY).hexdigest(), log_bytes=len(COPY)
    )
    job_id = f"j-z{hashlib.sha256(bucket_id.encode()).hexdigest()[:11]}"
    stating = f"printf '%s' '{msgspec.json.encode(statement).decode()}' > \"$LIVECALC_TERMINATION_MESSAGE\""
    await stage.job(record, job_id, stating, logs={paths.log(job_id, 0, 0, "nonce"): COPY})
    await stage.pod(record.name, "foreign", "echo words")
    await stage.local.annotate_pod(
        record.name, "foreign", {"memory-sentinel-violations": "offset:64,expected:0xA5,actual:0x00"}
    )
    await stage.ended(record.name)
    await stage.annotate(record, {STATUS: Status.FINALIZED})


async def check_whole(stage: Stage, bucket_id: str) -> None:
    """One archive, every log in it, nothing beside it, and each audit record once."""
    assert await stage.is_gone(f"livecalc-bucket-{bucket_id}")
    manifest = await stage.manifest(bucket_id)
    found = await stage.diagnostics.verify(ANA, bucket_id, manifest.timestamp)
    assert found.holds, found.differences
    assert sorted((log.source, log.state, log.bytes) for log in manifest.containers) == [
        ("node", "unknown", 6),
        ("worker", "complete", len(COPY)),
    ]
    assert (manifest.violations, manifest.notes, len(manifest.jobs)) == (1, [], 1)
    folder = f"{bucket_id}/{manifest.timestamp}/"
    stored = {name async for name in _names(stage, f"{bucket_id}/")}
    assert stored == {f"{folder}{blob.name}" for blob in manifest.blobs} | {f"{folder}manifest.json"}
    assert await audits(stage, bucket_id) == audited(waived=0)


def audited(*, waived: int) -> Counter[tuple[str, str]]:
    operations = {"reap": 1, "waive-archive": waived}
    return +Counter({(name, phase): times for name, times in operations.items() for phase in ("intent", "outcome")})


async def _names(stage: Stage, prefix: str) -> AsyncIterator[str]:
    async for info in stage.blobs.list_blobs("diagnostics-acme", prefix):
        yield info.name


async def audits(stage: Stage, bucket_id: str) -> Counter[tuple[str, str]]:
    chain = await stage.audit.verify("acme")
    assert chain.holds, chain.reason
    records = [*await stage.audited(operation="reap"), *await stage.audited(operation="waive-archive")]
    return Counter((record.operation, record.phase) for record in records if record.bucket_id == bucket_id)


@pytest.mark.parametrize("kind", KINDS)
async def test_one_request_that_breaks_is_made_up_for(stage: Stage, proxy: Proxy, kind: str) -> None:
    await populated(stage, "whole")
    assert await reap(stage, proxy, lambda _: None)
    await check_whole(stage, "whole")
    count = len(proxy.seen)
    assert count > _COUNT
    chance = random.Random(SEED + len(kind))  # noqa: S311  (a choice of tests)
    numbers = list(range(1, count + 1)) if FULL else chance.sample(range(1, count + 1), max(2, count // 20))
    print(f"{kind}: {len(numbers)} of {count} requests, seed {SEED}")  # noqa: T201  (the attack's figures)
    for number in numbers:
        await populated(stage, f"b-{number}")
        assert await reap(stage, proxy, _at(number, KINDS[kind])), number
        assert len(proxy.faults) == 1
        await check_whole(stage, f"b-{number}")


def _at(number: int, fault: Fault) -> Choose:
    return lambda request: fault if request.number == number else None


async def test_any_weather(stage: Stage, proxy: Proxy) -> None:
    for seed in range(SEED, SEED + (40 if FULL else 2)):
        bucket_id = f"b-{seed}"
        await populated(stage, bucket_id)
        whole = await reap(stage, proxy, weather(seed, 0.25))
        print(f"seed {seed}: {len(proxy.faults)} of {len(proxy.seen)} requests broke")  # noqa: T201  (the attack's figures)
        assert whole
        assert proxy.faults
        await check_whole(stage, bucket_id)


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(answer_lost=True), Fault(request_bytes=10)], ids=str)
async def test_a_store_that_takes_no_archive_is_waived_by_best_effort(
    stage: Stage, proxy: Proxy, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    await populated(stage, "b")
    assert await reap(stage, proxy, _writes_of(stage, "manifest.json", fault))

    assert await stage.is_gone("livecalc-bucket-b")
    if fault.answer_lost:
        # All that was written is there: the store was asked for it when it did not answer.
        await check_whole(stage, "b")
        return
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert errors[0].startswith(
        "Namespace livecalc-bucket-b is reaped without a complete archive (policy best-effort): blob store 127.0.0.1"
    )
    assert await stage.manifests("b") == []
    assert await audits(stage, "b") == audited(waived=1)


async def test_a_store_that_takes_no_archive_keeps_the_namespace_where_one_is_required(
    stage: Stage, proxy: Proxy
) -> None:
    await populated(stage, "b")
    for name in ("logs/", "pods.json", "jobs/", "manifest.json"):
        assert not await reap(stage, proxy, _writes_of(stage, name, Fault(status=503)), archive_policy="required")
        assert not (await stage.local.get_namespace("livecalc-bucket-b")).terminating
        assert await stage.manifests("b") == []
    assert await reap(stage, proxy, weather(SEED, 0.1), archive_policy="required")
    await check_whole(stage, "b")


def _writes_of(stage: Stage, name: str, fault: Fault) -> Choose:
    def choose(request: Request) -> Fault | None:
        wanted = request.path.startswith(f"{stage.box}-diagnostics") and name in request.path
        return fault if wanted and request.method == "PUT" else None

    return choose


async def test_a_line_that_crawls(stage: Stage, proxy: Proxy) -> None:
    """1 KB/s for everything but the large log."""
    await populated(stage, "b")
    crawl = Fault(bytes_per_second=1000 if FULL else 4000)

    def choose(request: Request) -> Fault | None:
        wanted = request.path.startswith(f"{stage.box}-diagnostics") and request.size < 10_000
        return crawl if wanted and request.method == "PUT" else None

    assert await reap(stage, proxy, choose)
    assert len(proxy.faults) >= 6
    await check_whole(stage, "b")
