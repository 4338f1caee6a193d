"""Cleanup workers killed at any instant, each gone on with by a fresh one, half of those killed too; on every store."""

import asyncio
import hashlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from attack.support.crew import FULL, Crew
from attack.support.victim import Order
from contracts.blob_adapters import ADAPTERS
from lifecycle.stage import Stage, open_stage, template
from msgspec import Struct, field

from livecalc.domain.namespaces import STATUS, NamespaceRecord, Status
from livecalc.domain.tasks import Statement
from livecalc.domain.tenants import Principal
from livecalc.lifecycle.archive.manifest import Manifest
from livecalc.records import paths

pytestmark = [pytest.mark.anyio, pytest.mark.attack]
SEED = 20_261_124
REAPS = 200 if FULL else 10
SPARE = REAPS // 4 + 2
"""Reaps that are over before they can be killed do not count."""
TENANTS = 25
"""Several, so that no audit chain becomes long."""
PRINTED = b"a line of a foreign pod\n" * 2000
COPY = b"what a worker kept\n" * 3000


class Tally(Struct):
    """What became of the reaps."""

    killed: int = 0
    killed_twice: int = 0
    times: list[float] = field(default_factory=list[float])
    """How long whole ones take, in seconds."""


class Attack:
    """The reaps of one home, each by a process of its own."""

    def __init__(self, crew: Crew, stage: Stage, settings: dict[str, str], chance: random.Random) -> None:
        self._crew = crew
        self._stage = stage
        self._settings = settings
        self._chance = chance
        self.tally = Tally()

    async def measure(self, record: NamespaceRecord) -> None:
        began = time.monotonic()
        await self._reap(record, None)
        self.tally.times.append(time.monotonic() - began)

    async def kill(self, record: NamespaceRecord) -> None:
        """Kill a reap, perhaps its successor too, and let a last one come."""
        if self.tally.killed < REAPS and await self._reap(record, self._instant()):
            self.tally.killed += 1
            if self.tally.killed_twice < self.tally.killed / 2 and await self._reap(record, self._instant()):
                self.tally.killed_twice += 1
        await self._reap(record, None)

    def _instant(self) -> float:
        return self._chance.uniform(0, min(self.tally.times))

    async def _reap(self, record: NamespaceRecord, kill_after: float | None) -> bool:
        """Let a process reap; tells whether it was killed at it."""
        home = self._stage.root
        order = Order(
            flow="reap one",
            home=str(home),
            trace=str(home.with_name(f"trace-{record.bucket_id}")),
            kill_after=kill_after,
            target=record.name,
            settings=self._settings,
            box=self._stage.box if self._settings else "",
        )
        life = await self._crew.obey(order)
        assert life.killed or life.exit == 0, life
        return life.killed


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def stage(adapter: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    (tmp_path / "tmp").mkdir()
    place = str(request.getfixturevalue("azurite")) if adapter == "azure" else ""
    async with open_stage(tmp_path / "home", adapter, place) as opened:
        yield opened


def owner(number: int) -> Principal:
    return Principal(tenant_id=f"tenant-{number % TENANTS}", user_id="ana")


async def populated(stage: Stage, number: int) -> NamespaceRecord:
    """A finalized bucket with a volume, a worker that stored its log, and a foreign pod with a violation."""
    record = await stage.namespace(f"b-{number}", principal=owner(number))
    await stage.local.create_volume_claim(record.name, "data")
    printing = f"yes '{PRINTED.splitlines()[0].decode()}' | head -n 2000"
    await stage.local.create_pod(record.name, "foreign", template(printing))
    await stage.local.annotate_pod(
        record.name, "foreign", {"memory-sentinel-violations": "offset:64,expected:0xA5,actual:0x00"}
    )
    job_id = f"j-z{number:011}"
    statement = Statement(
        state="succeeded", log_attempt=0, log_sha256=sha256(COPY), log_bytes=len(COPY), result_bytes=0
    )
    stating = f"printf '%s' '{msgspec.json.encode(statement).decode()}' > \"$LIVECALC_TERMINATION_MESSAGE\""
    await stage.job(record, job_id, stating, logs={paths.log(job_id, 0, 0, "nonce"): COPY})
    return await stage.annotate(record, {STATUS: Status.FINALIZED})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_killed_at_any_instant_and_gone_on_with(crew: Crew, stage: Stage, azurite: str, adapter: str) -> None:
    chance = random.Random(SEED)  # noqa: S311  (a choice of tests)
    settings = {"AZURE_BLOB_CONNECTION_STRING": azurite} if adapter == "azure" else {}
    records = [await populated(stage, number) for number in range(REAPS + SPARE)]
    for record in records:
        await stage.ended(record.name)
    attack = Attack(crew, stage, settings, chance)
    slots = asyncio.Semaphore(crew.size)

    async def one(record: NamespaceRecord) -> None:
        async with slots:
            await attack.kill(record)

    for record in records[: crew.size]:
        await attack.measure(record)
    await asyncio.gather(*(one(record) for record in records[crew.size :]))

    tally = attack.tally
    print(f"{tally.killed} reaps killed, {tally.killed_twice} of them twice, seed {SEED}, store {adapter}")  # noqa: T201  (the attack's figures)
    assert tally.killed >= REAPS
    assert tally.killed_twice >= REAPS // 2
    assert not (await stage.local.list_namespaces({})).items
    assert not await stage.local.list_volumes()
    for number, record in enumerate(records):
        check_manifest(await only_archive(stage, record, owner(number)))
    for number in range(TENANTS):
        own = [record.bucket_id for record in records if record.tenant_key == owner(number).tenant_key]
        await check_tenant(stage, owner(number), own)


async def only_archive(stage: Stage, record: NamespaceRecord, principal: Principal) -> Manifest:
    manifest = await stage.manifest(record.bucket_id, principal)
    verification = await stage.diagnostics.verify(principal, record.bucket_id, manifest.timestamp)
    assert verification.holds, verification.differences
    return manifest


def check_manifest(manifest: Manifest) -> None:
    told = {log.source: (log.state, log.sha256) for log in manifest.containers}
    assert len(manifest.containers) == 2, manifest
    assert told == {"worker": ("complete", sha256(COPY)), "node": ("unknown", sha256(PRINTED))}, manifest
    assert manifest.violations == 1


async def check_tenant(stage: Stage, principal: Principal, buckets: list[str]) -> None:
    """Nothing lies beside the archives, and each reap was audited once."""
    known: set[str] = set()
    for bucket in buckets:
        manifest = await stage.manifest(bucket, principal)
        folder = f"{bucket}/{manifest.timestamp}/"
        known |= {f"{folder}{blob.name}" for blob in manifest.blobs} | {f"{folder}manifest.json"}
    stored = await stage.container(f"diagnostics-{principal.tenant_key}")
    assert {name for name in stored if not name.startswith("_index/")} == known
    chain = await stage.audit.verify(principal.tenant_id)
    assert chain.holds, chain.reason
    reaps = await stage.audited(operation="reap", tenant_id=principal.tenant_id)
    told = Counter((record.bucket_id, record.phase) for record in reaps)
    assert told == Counter((bucket, phase) for bucket in buckets for phase in ("intent", "outcome"))
    assert await stage.audited(operation="waive-archive", tenant_id=principal.tenant_id) == []
