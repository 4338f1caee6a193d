"""Operations leave an intent and an outcome, in one order that all writers agree on."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio.to_thread
import pytest
from audit.clock import START, Clock

from livecalc.audit.log import AuditLog
from livecalc.blobs.directory import DirectoryStore
from livecalc.blobs.port import BlobInfo, Body
from livecalc.domain.audit import GENESIS, AuditRecord, seal
from livecalc.domain.errors import Conflict, Damaged, Unavailable
from livecalc.domain.tenants import Principal

pytestmark = pytest.mark.anyio

Fill = Callable[[int], Awaitable[list[AuditRecord]]]


async def reap_record(log: AuditLog, *, request: str = "r-1", since: datetime | None = None) -> AuditRecord:
    return await log.record(
        tenant_id="acme",
        user_id="system:cleanup-worker",
        operation="reap",
        phase="intent",
        namespace="livecalc-bucket-q4",
        bucket_id="q4",
        request_id=request,
        once_since=since,
    )


class TestRecords:
    async def test_each_names_the_one_before(self, log: AuditLog, store: DirectoryStore, fill: Fill) -> None:
        records = await fill(3)
        assert [record.sequence for record in records] == [1, 2, 3]
        assert [record.previous for record in records] == [GENESIS, records[0].hash, records[1].hash]
        assert all(seal(record) == record for record in records)
        assert [info.name async for info in store.list_blobs("audit-acme")] == [f"{n:012}" for n in (1, 2, 3)]
        assert records[0].timestamp == "2026-01-25T01:00:01Z"
        assert await log.head("acme") == f"3:{records[2].hash}"

    async def test_a_slow_clock_hides_nothing(self, log: AuditLog, store: DirectoryStore, fill: Fill) -> None:
        """A look back may stop at the first older record, because no record says it is older than the one before."""
        reaped = await reap_record(log, since=START)
        slow = AuditLog(store, now=lambda: START - timedelta(hours=25))
        late = await slow.record(tenant_id="acme", user_id="j", operation="x", phase="intent", request_id="slow")
        assert late.timestamp == reaped.timestamp
        assert await reap_record(AuditLog(store, now=lambda: START), since=START) == reaped
        records = await fill(1)
        assert await log.read("acme", since=START) == [*records, late, reaped]
        assert (await log.verify("acme")).holds

    async def test_a_deleted_number_is_not_taken_again(self, store: DirectoryStore, log: AuditLog, fill: Fill) -> None:
        records = await fill(9)
        for number in (2, 6, 7):
            await store.delete("audit-acme", f"{number:012}")
        record = await reap_record(AuditLog(store, now=lambda: START))
        assert (record.sequence, record.previous) == (10, records[-1].hash)
        found = await log.verify("acme")
        assert (found.holds, found.first_bad) == (False, 2)

    async def test_a_tenant_has_a_chain_of_its_own(self, log: AuditLog, fill: Fill) -> None:
        await fill(2)
        assert await log.head("other") is None
        record = await log.record(tenant_id="Other Ltd", user_id="joe", operation="x", phase="intent", request_id="r")
        assert (record.sequence, record.previous) == (1, GENESIS)
        assert await log.read("other") == []

    async def test_detail_is_json(self, log: AuditLog) -> None:
        detail = {"when": datetime(2026, 1, 1, tzinfo=UTC), "pair": (1, 2), "none": None}
        record = await log.record(
            tenant_id="acme", user_id="j", operation="x", phase="intent", request_id="r", detail=detail
        )
        assert record.detail == {"when": "2026-01-01T00:00:00Z", "pair": [1, 2], "none": None}
        assert await log.read("acme") == [record]

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 33])
    async def test_a_new_process_finds_the_end(
        self, store: DirectoryStore, log: AuditLog, fill: Fill, count: int
    ) -> None:
        records = await fill(count)
        found = await AuditLog(store).head("acme")
        assert found == (f"{count}:{records[-1].hash}" if records else None)
        another = AuditLog(store)
        appended = await reap_record(another)
        assert appended.sequence == count + 1
        assert (await fill(1))[0].previous == appended.hash
        assert await log.head("acme") == await another.head("acme")

    async def test_newest_first_back_to_a_time(self, log: AuditLog, fill: Fill) -> None:
        records = await fill(10)
        assert await log.read("acme") == records[::-1]
        assert await log.read("acme", limit=3) == records[:6:-1]
        assert await log.read("acme", since=START + timedelta(seconds=8)) == records[:6:-1]
        assert await log.read("acme", since=START + timedelta(hours=1)) == []
        assert await log.read("acme", since=START, limit=1) == records[-1:]
        assert await log.read("acme", before=4) == records[2::-1]
        assert await log.read("acme", before=9, limit=2) == records[7:5:-1]
        assert await log.read("acme", before=1000, limit=1) == records[-1:]

    async def test_eight_processes_agree_on_the_order(self, root: Path, store: DirectoryStore) -> None:
        script = Path(__file__).with_name("appender.py")
        await anyio.to_thread.run_sync(run_appenders, script, root, 8, 6)
        log = AuditLog(store)
        verification = await log.verify("acme")
        assert (verification.holds, verification.records, verification.reason) == (True, 96, None)
        records = await log.read("acme", limit=1000)
        assert [record.sequence for record in records] == list(range(96, 0, -1))
        phases = {(record.request_id, record.phase) for record in records}
        assert len(phases) == 96
        for who in {record.user_id for record in records}:
            own = [int(record.request_id.rpartition("-")[2]) for record in records if record.user_id == who]
            assert own == sorted(own, reverse=True)

    async def test_many_tasks_of_one_process(self, log: AuditLog) -> None:
        await asyncio.gather(*(reap_record(log, request=f"r-{number}") for number in range(40)))
        verification = await log.verify("acme")
        assert (verification.holds, verification.records) == (True, 40)


class TestOnce:
    async def test_a_resumed_reap_is_not_audited_twice(self, store: DirectoryStore, clock: Clock) -> None:
        first = await reap_record(AuditLog(store, now=clock))
        clock.forward(minutes=2)
        again = await reap_record(AuditLog(store, now=clock), since=START)
        assert again == first
        assert await AuditLog(store).head("acme") == f"1:{first.hash}"

    async def test_others_in_between_do_not_hide_it(
        self, store: DirectoryStore, log: AuditLog, clock: Clock, fill: Fill
    ) -> None:
        await fill(5)
        first = await reap_record(log)
        await fill(20)
        assert await reap_record(AuditLog(store, now=clock), since=START) == first
        assert await reap_record(log, since=START) == first

    async def test_another_reap_is_another_record(self, log: AuditLog, clock: Clock) -> None:
        await reap_record(log)
        clock.forward(minutes=1)
        other = await reap_record(log, request="r-2", since=START)
        assert other.sequence == 2
        clock.forward(hours=1)
        later = await reap_record(log, since=clock.time)
        assert later.sequence == 3

    async def test_a_lost_answer_is_found_again(self, root: Path, clock: Clock) -> None:
        log = AuditLog(LosingStore(root, losses=1), now=clock)
        with pytest.raises(Unavailable, match="answer was lost"):
            await reap_record(log, since=START)
        record = await reap_record(log, since=START)
        assert record.sequence == 1
        assert await log.head("acme") == f"1:{record.hash}"

    async def test_a_lost_answer_to_a_plain_record_is_found_again(self, root: Path, clock: Clock) -> None:
        log = AuditLog(LosingStore(root, losses=1), now=clock)
        with pytest.raises(Unavailable):
            await reap_record(log)
        assert (await reap_record(log)).sequence == 1
        clock.forward(seconds=1)
        assert (await reap_record(log)).sequence == 2
        assert (await log.verify("acme")).holds

    async def test_two_that_resume_at_once_write_one(self, store: DirectoryStore, clock: Clock) -> None:
        logs = [AuditLog(store, now=clock) for _ in range(6)]
        records = await asyncio.gather(*(reap_record(log, since=START) for log in logs))
        assert len({record.hash for record in records}) == 1
        assert await logs[0].head("acme") == f"1:{records[0].hash}"


class TestOperations:
    async def test_intent_then_outcome(self, log: AuditLog, jane: Principal) -> None:
        async with log.operation(
            principal=jane, operation="create-namespace", request_id="r", bucket_id="q4", detail={"a": 1}
        ) as entry:
            (intent,) = await log.read("acme")
            entry.detail["b"] = 2
            entry.namespace = "livecalc-bucket-q4"
        outcome, _ = await log.read("acme")
        assert (intent.phase, intent.result, intent.detail, intent.namespace) == ("intent", None, {"a": 1}, None)
        assert (outcome.phase, outcome.result, outcome.detail) == ("outcome", "ok", {"a": 1, "b": 2})
        assert (outcome.namespace, outcome.bucket_id, outcome.user_id) == ("livecalc-bucket-q4", "q4", "jane")

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (Conflict("the bucket is being reaped"), "the bucket is being reaped"),
            (ValueError("inner text"), "failed unexpectedly: ValueError"),
            (KeyboardInterrupt(), "failed unexpectedly: KeyboardInterrupt"),
        ],
    )
    async def test_an_error_is_the_outcome(
        self, log: AuditLog, jane: Principal, error: BaseException, told: str
    ) -> None:
        with pytest.raises(type(error)):
            async with log.operation(principal=jane, operation="finalize", request_id="r"):
                raise error
        outcome, _ = await log.read("acme")
        assert (outcome.phase, outcome.result) == ("outcome", told)

    async def test_a_body_may_say_its_own_outcome(self, log: AuditLog, jane: Principal) -> None:
        async with log.operation(principal=jane, operation="reap", request_id="r") as entry:
            entry.result = "its archive could not be stored"
        assert (await log.read("acme"))[0].result == "its archive could not be stored"

    async def test_a_cancelled_operation_has_an_outcome(self, log: AuditLog, jane: Principal) -> None:
        is_under_way = asyncio.Event()

        async def operate() -> None:
            async with log.operation(principal=jane, operation="finalize", request_id="r"):
                is_under_way.set()
                await asyncio.Event().wait()

        running = asyncio.create_task(operate())
        await is_under_way.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        outcome, _ = await log.read("acme")
        assert (outcome.phase, outcome.result) == ("outcome", "cancelled before it ended")

    async def test_so_has_one_whose_whole_scope_is_cancelled(self, log: AuditLog, jane: Principal) -> None:
        with anyio.CancelScope() as scope:
            async with log.operation(principal=jane, operation="finalize", request_id="r"):
                scope.cancel()
                await anyio.sleep_forever()
        outcome, _ = await log.read("acme")
        assert (outcome.phase, outcome.result) == ("outcome", "cancelled before it ended")


class TestFailingStore:
    """The store's root is a file, so that nothing can be written."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        (tmp_path / "blobs").write_bytes(b"")
        return tmp_path / "blobs"

    async def test_required_and_not_recorded_is_not_done(self, log: AuditLog, jane: Principal) -> None:
        is_done = False
        with pytest.raises(Unavailable, match="reap was not done, because its audit record cannot be written: "):
            async with log.operation(principal=jane, operation="reap", request_id="r"):
                is_done = True
        assert not is_done

    async def test_best_effort_goes_on_and_logs_the_whole_record(
        self, store: DirectoryStore, clock: Clock, jane: Principal, caplog: pytest.LogCaptureFixture
    ) -> None:
        log = AuditLog(store, policy="best-effort", now=clock)
        async with log.operation(
            principal=jane, operation="reap", request_id="r", bucket_id="q4", detail={"text": "a\nb"}
        ) as entry:
            entry.result = "done"
        lines = audit_lines(caplog)
        assert [line["phase"] for line in lines] == ["intent", "outcome"]
        assert lines[1] == {
            "sequence": 0, "previous": "", "timestamp": "2026-01-25T01:00:00Z", "tenant_id": "acme",
            "user_id": "jane", "operation": "reap", "phase": "outcome", "result": "done", "namespace": None,
            "bucket_id": "q4", "request_id": "r", "detail": {"text": "a\nb"}, "hash": "",
        }  # fmt: skip

    async def test_an_operation_may_differ_from_the_policy(
        self, store: DirectoryStore, log: AuditLog, jane: Principal, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with log.operation(principal=jane, operation="submit", request_id="r", required=False):
            pass
        assert len(audit_lines(caplog)) == 2
        lenient = AuditLog(store, policy="best-effort")
        with pytest.raises(Unavailable):
            async with lenient.operation(principal=jane, operation="apply", request_id="r", required=True):
                pass

    async def test_a_single_record(self, log: AuditLog, caplog: pytest.LogCaptureFixture) -> None:
        with pytest.raises(Unavailable):
            await reap_record(log)
        assert audit_lines(caplog) == []
        record = await log.record(
            tenant_id="acme", user_id="j", operation="x", phase="intent", request_id="r", required=False
        )
        assert (record.sequence, record.hash) == (0, "")
        assert [line["request_id"] for line in audit_lines(caplog)] == ["r"]


async def test_an_outcome_that_cannot_be_stored_is_logged(
    log: AuditLog, root: Path, jane: Principal, caplog: pytest.LogCaptureFixture
) -> None:
    async with log.operation(principal=jane, operation="reap", request_id="r"):
        replace_by_file(root)
    (line,) = audit_lines(caplog)
    assert (line["phase"], line["result"]) == ("outcome", "ok")


async def test_a_damaged_end_stops_what_requires_a_record(store: DirectoryStore, fill: Fill, jane: Principal) -> None:
    await fill(2)
    await store.delete("audit-acme", f"{2:012}")
    await store.write("audit-acme", f"{2:012}", b"{}")
    fresh = AuditLog(store)
    with pytest.raises(Damaged, match="audit record 2 cannot be read"):
        await fresh.head("acme")
    with pytest.raises(Unavailable, match="audit record 2 cannot be read"):
        async with fresh.operation(principal=jane, operation="reap", request_id="r"):
            pass


class LosingStore(DirectoryStore):
    """A real store whose first answers to writes are lost."""

    def __init__(self, root: Path, *, losses: int) -> None:
        super().__init__(root)
        self._losses = losses

    async def write(  # noqa: PLR0913  (as the port has it)
        self,
        container: str,
        name: str,
        body: Body,
        *,
        metadata: Mapping[str, str] | None = None,
        locked_until: datetime | None = None,
        sha256: str | None = None,
    ) -> BlobInfo:
        info = await super().write(container, name, body, metadata=metadata, locked_until=locked_until, sha256=sha256)
        if self._losses:
            self._losses -= 1
            raise Unavailable("the answer was lost")
        return info


def audit_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for record in caplog.records:
        text = record.getMessage()
        if record.name == "livecalc.audit" and text.startswith("AUDIT "):
            assert record.levelno == logging.ERROR
            assert "\n" not in text
            found.append(json.loads(text.removeprefix("AUDIT ")))
    return found


def replace_by_file(root: Path) -> None:
    root.rename(root.with_name("away"))
    root.write_bytes(b"")


def run_appenders(script: Path, root: Path, processes: int, count: int) -> None:
    racing = [
        subprocess.Popen(
            [sys.executable, str(script), str(root), f"user-{number}", str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    for process in racing:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in racing:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in racing:
        process.communicate(timeout=60)
        assert process.returncode == 0
