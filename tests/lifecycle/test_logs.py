"""What becomes of logs: the worker's own copy, what its node still has, and what is not a log at all."""

import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.composed import Composed
from lifecycle.stage import ANA, Stage, template

from livecalc.cluster.port import PodRecord
from livecalc.domain.jobs import JobState
from livecalc.domain.partitions import PartitionRecord
from livecalc.domain.tasks import Statement
from livecalc.lifecycle.archive.manifest import ContainerLog, Manifest
from livecalc.pipeline.partition import write_partition
from livecalc.records import paths

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]
SMALL = b"a line\nanother\n"
LARGE = b"0123456789abcde\n" * 12_000
"""More than a node keeps in one file here."""
SILENT = (
    "its worker ended without storing its log, so this is what its node still had: nothing states how much it printed"
)
PRINT_LARGE = "i=0; while [ $i -lt 12000 ]; do echo 0123456789abcde; i=$((i+1)); done"


def ending(script: str, statement: Statement | None) -> str:
    if statement is None:
        return script
    text = msgspec.json.encode(statement).decode()
    return f"{script}; printf '%s' '{text}' > \"$LIVECALC_TERMINATION_MESSAGE\""


def stated(log: bytes, *, attempt: int | None = 0, truncated: bool = False) -> Statement:
    return Statement(
        state="succeeded",
        log_attempt=attempt,
        log_sha256=hashlib.sha256(log).hexdigest(),
        log_bytes=len(log),
        log_truncated=truncated,
    )


async def reaped(stage: Stage, bucket_id: str) -> Manifest:
    name = f"livecalc-bucket-{bucket_id}"
    answer = await stage.manager().reap_namespace(ANA, name, bucket_id=bucket_id, force=True, request_id="r")
    assert answer.success, answer.message
    return await stage.manifest(bucket_id)


def log_of(manifest: Manifest, pod: str) -> ContainerLog:
    [found] = [each for each in manifest.pods if pod in (each.name, each.job_id)]
    [log] = found.containers
    return log


async def job(
    stage: Stage, job_id: str, script: str, statement: Statement | None, *, copy: bytes | None = None
) -> PodRecord:
    record = await stage.local.get_namespace("livecalc-bucket-b")
    stored = {} if copy is None else {paths.log(job_id, 0, 0, "nonce"): copy}
    await stage.job(record, job_id, ending(script, statement), logs=stored)
    pods = await stage.ended(record.name)
    return next(pod for pod in pods if pod.job == job_id)


async def test_a_log_is_complete_only_if_it_is_what_the_worker_states(stage: Stage) -> None:
    await stage.namespace("b")
    print_small = "printf 'a line\\nanother\\n'"
    await job(stage, "j-copy00000000", PRINT_LARGE, stated(LARGE), copy=LARGE)
    await job(stage, "j-node00000000", print_small, stated(SMALL, attempt=None))
    await job(stage, "j-rotated00000", PRINT_LARGE, stated(LARGE, attempt=None))
    await job(stage, "j-badcopy00000", print_small, stated(SMALL), copy=b"a line\nanother!")
    await job(stage, "j-nocopy000000", print_small, stated(SMALL))
    await job(stage, "j-cut000000000", print_small, stated(SMALL, truncated=True), copy=SMALL)
    await job(stage, "j-unanswered00", PRINT_LARGE, stated(LARGE, attempt=None), copy=LARGE)
    await job(stage, "j-other0000000", print_small, stated(b"something else\n", attempt=None))
    await job(stage, "j-killed000000", print_small + "; kill -9 $$", None)
    await job(stage, "j-quiet0000000", "true", stated(b"", attempt=None))

    manifest = await reaped(stage, "b")

    assert manifest.state == "PartiallyComplete"
    states = {each.job_id: (log.state, log.source, log.note) for each in manifest.pods for log in each.containers}
    rotated = log_of(manifest, "j-rotated00000")
    assert states == {
        "j-copy00000000": ("complete", "worker", ""),
        "j-node00000000": ("complete", "node", ""),
        "j-rotated00000": (
            "truncated",
            "node",
            f"rotated; {len(LARGE) - rotated.bytes:,} of {len(LARGE):,} bytes gone",
        ),
        "j-unanswered00": ("complete", "worker", ""),
        "j-badcopy00000": ("complete", "node", ""),
        "j-nocopy000000": ("complete", "node", ""),
        "j-cut000000000": ("truncated", "worker", "printed more than LOG_LIMIT_MIB; the rest was not kept"),
        "j-other0000000": ("truncated", "node", "not what its worker states it printed"),
        "j-killed000000": (
            "unknown",
            "node",
            f"{SILENT}; Error",
        ),
        "j-quiet0000000": ("complete", "node", ""),
    }
    copied = log_of(manifest, "j-copy00000000")
    assert (copied.bytes, copied.sha256) == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
    assert await stage.blob(f"b/{manifest.timestamp}/{copied.blob}") == LARGE
    assert 0 < rotated.bytes < len(LARGE)
    [(pod, path)] = await stage.diagnostics.logs_of_job(ANA, "b", "j-copy00000000")
    assert (pod, await stage.blob(path)) == (log_of(manifest, "j-copy00000000").blob[5:-4], LARGE)  # type: ignore[index]


async def test_a_message_that_is_nested_too_deeply_states_nothing(stage: Stage) -> None:
    """No model makes its namespace one that nobody can reap."""
    record = await stage.namespace("b")
    hostile = '{"state":"succeeded","x":' + "[" * 3800
    pod = await job(
        stage, "j-nested000000", f"echo words; printf '%s' '{hostile}' > \"$LIVECALC_TERMINATION_MESSAGE\"", None
    )
    assert pod.containers[0].terminated is not None
    assert pod.containers[0].terminated.message == hostile
    manifest = await reaped(stage, "b")
    assert log_of(manifest, "j-nested000000").state == "unknown"
    assert await stage.is_gone(record.name)


async def test_a_copy_that_is_larger_than_a_worker_may_store_is_not_taken(stage: Stage) -> None:
    """On Azure a grant has no limit, and a worker is not to be trusted with one."""
    record = await stage.namespace("b")
    just = {paths.log("j-justright000", 0, 0, "nonce"): LARGE}
    await stage.job(record, "j-justright000", ending("true", stated(LARGE)), logs=just, log_limit=len(LARGE))
    over = {paths.log("j-toolarge0000", 0, 0, "nonce"): LARGE}
    await stage.job(record, "j-toolarge0000", ending("echo words", stated(LARGE)), logs=over, log_limit=len(LARGE) - 1)
    await stage.ended(record.name)
    manifest = await reaped(stage, "b")
    assert log_of(manifest, "j-justright000").state == "complete"
    log = log_of(manifest, "j-toolarge0000")
    assert (log.state, log.source, log.bytes) == ("truncated", "node", len(b"words\n"))
    most = (
        f"its worker stored {len(LARGE):,} bytes as its log, and {len(LARGE) - 1:,} are the most: they were not taken"
    )
    assert log.note.startswith(f"{most}; rotated; ")


async def test_nor_is_one_of_a_pod_that_is_gone(stage: Stage) -> None:
    record = await stage.namespace("b")
    over = {paths.log("j-apex00000000", 0, 0, "nonce"): LARGE}
    await stage.job(record, "j-apex00000000", "true", logs=over, log_limit=len(LARGE) - 1)
    [pod] = await stage.ended(record.name)
    manifest = await reaped(stage.with_parts(cluster=Composed(stage.cluster, hidden=frozenset({pod.name})).port()), "b")
    log = log_of(manifest, "j-apex00000000")
    assert (log.state, log.blob) == ("lost", None)
    assert log.note.endswith("are the most: they were not taken")


async def test_logs_of_any_size_pass_in_constant_memory(stage: Stage) -> None:
    record = await stage.namespace("b")
    piece, pieces = bytes(1 << 20), 96
    digest = hashlib.sha256()
    for _ in range(pieces):
        digest.update(piece)
    statement = Statement(
        state="succeeded", log_attempt=0, log_sha256=digest.hexdigest(), log_bytes=pieces * len(piece)
    )

    async def printed() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield piece

    await stage.blobs.write("results-acme", paths.log("j-large0000000", 0, 0, "nonce"), printed())
    await stage.job(record, "j-large0000000", ending("true", statement))
    await stage.ended(record.name)
    tracemalloc.start()
    try:
        manifest = await reaped(stage, "b")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (log_of(manifest, "j-large0000000").state, log_of(manifest, "j-large0000000").bytes) == (
        "complete",
        96 << 20,
    )
    assert peak < 48 << 20


async def test_running_waiting_lost_and_excuses(stage: Stage) -> None:
    record = await stage.namespace("b")
    excuse = "unable to retrieve container logs for containerd://3bb6fd00e2a1"
    await stage.pod(record.name, "excuse", f"printf '%s' '{excuse}'")
    lost = await stage.pod(record.name, "lost", "echo gone")
    await stage.pod(record.name, "foreign", "echo words; exit 3")
    for number in range(4):
        await stage.pod(record.name, f"running-{number}", "echo begun; sleep 60", ended=False)
    await stage.local.create_pod(record.name, "waiting", template("true"))
    for file in _log_files(stage.root, lost.uid):
        file.unlink()

    manifest = await reaped(stage, "b")

    assert log_of(manifest, "excuse").state == "lost"
    assert excuse in log_of(manifest, "excuse").note
    assert log_of(manifest, "excuse").blob is None
    assert (log_of(manifest, "lost").state, log_of(manifest, "lost").blob) == ("lost", None)
    foreign = log_of(manifest, "foreign")
    assert (foreign.state, foreign.exit_code) == ("unknown", 3)
    running = log_of(manifest, "running-0")
    assert (running.state, running.note) == ("truncated", "still running when it was archived")
    waiting = log_of(manifest, "waiting")
    assert (waiting.state, waiting.blob, waiting.bytes) == ("complete", None, 0)
    assert waiting.note.startswith("never started: ")
    assert len(manifest.containers) == 8
    stored = {blob.name for blob in manifest.blobs}
    assert {log.blob for log in manifest.containers if log.blob} == {
        name for name in stored if name.startswith("logs/")
    }


def _log_files(root: Path, uid: str) -> list[Path]:
    found = [path for path in (root / "cluster").rglob("*") if uid in str(path) and "log" in path.name]
    assert found, f"no log file of {uid} below {root}"
    return found


async def test_violations_are_indexed_and_none_is_dropped(stage: Stage) -> None:
    record = await stage.namespace("b")
    await stage.pod(record.name, "worker-1", "true")
    await stage.pod(record.name, "worker-2", "true")
    text = "offset:1234,expected:0xABCD,actual:0x1234;offset:nonsense"
    await stage.local.annotate_pod(record.name, "worker-1", {"memory-sentinel-violations": text})
    await stage.local.annotate_pod(record.name, "worker-2", {"memory-sentinel-violations": text.partition(";")[0]})

    manifest = await reaped(stage, "b")

    [found, whole] = await stage.diagnostics.violations(ANA, "b", manifest.timestamp)
    assert (found.pod, whole.pod) == ("worker-1", "worker-2")
    assert await stage.json(f"b/{manifest.timestamp}/sentinel-violations.json") == [
        {
            "pod": "worker-1",
            "violations": [{"offset": 1234, "expected": "0xABCD", "actual": "0x1234"}],
            "timestamp": found.timestamp,
            "malformed": ["offset:nonsense"],
        },
        {
            "pod": "worker-2",
            "violations": [{"offset": 1234, "expected": "0xABCD", "actual": "0x1234"}],
            "timestamp": whole.timestamp,
        },
    ]
    assert manifest.violations == 3


async def test_violations_that_no_annotation_says_are_taken_from_the_records(stage: Stage, tmp_path: Path) -> None:
    record = await stage.namespace("b")
    for job_id, text in (
        ("j-silent000000", "offset:64,expected:0xA5,actual:0x00"),
        ("j-told00000000", "offset:1,expected:0xA5,actual:0x01;offset:2,expected:0xA5,actual:0x01"),
        ("j-none00000000", ""),
    ):
        pod = await job(stage, job_id, "exit 11", None)
        write_partition(tmp_path / job_id, failed_partition(job_id, text), {})
        content = (tmp_path / job_id).read_bytes()
        await stage.blobs.write("results-acme", paths.partition(job_id, 0, "nonce"), content)
        if job_id == "j-told00000000":
            said = text.partition(";")[0]
            await stage.local.annotate_pod(record.name, pod.name, {"memory-sentinel-violations": said})

    manifest = await reaped(stage, "b")

    found = await stage.diagnostics.violations(ANA, "b", manifest.timestamp)
    assert sorted((each.pod[:8], [violation.offset for violation in each.violations]) for each in found) == [
        ("j-silent", [64]),
        ("j-told00", [1]),
    ]
    assert manifest.violations == 2


def failed_partition(job_id: str, violations: str) -> PartitionRecord:
    moment = "2026-01-25T01:00:00Z"
    return PartitionRecord(
        job_id=job_id,
        index=0,
        first=0,
        stop=40,
        attempt=0,
        state=JobState.FAILED,
        error="a canary was overwritten",
        violations=violations,
        started_at=moment,
        finished_at=moment,
    )
