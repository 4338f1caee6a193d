"""Every container of every pod is accounted for, whatever became of it, and every job's records are in the archive."""

import hashlib
from typing import Any

import msgspec
import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.composed import Composed, Part
from lifecycle.stage import ANA, Stage
from lifecycle.taps import Broken, tap

from livecalc.domain.errors import NotFound, Unavailable
from livecalc.domain.jobs import JobState
from livecalc.domain.partitions import PartitionRecord
from livecalc.domain.tasks import Statement
from livecalc.lifecycle.archive.manifest import ContainerLog, Manifest, encode
from livecalc.pipeline.partition import write_partition
from livecalc.records import paths
from livecalc.records.model import JobRecords

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]
TOLD = "it was deleted before the namespace was reaped; events tell that it was there"
KEPT = b"what the worker kept\n"


async def reaped(stage: Stage, bucket_id: str = "b") -> Manifest:
    name = f"livecalc-bucket-{bucket_id}"
    answer = await stage.manager().reap_namespace(ANA, name, bucket_id=bucket_id, force=True, request_id="r")
    assert answer.success, answer.message
    manifest = await stage.manifest(bucket_id)
    assert (await stage.diagnostics.verify(ANA, bucket_id, manifest.timestamp)).holds
    return manifest


def accounts(manifest: Manifest, pod: str) -> list[tuple[str, str, bool, str, str]]:
    """Container, kind, previous, state and note of every run of a pod."""
    [found] = [each for each in manifest.pods if each.name == pod]
    return [(log.name, log.kind, log.previous, log.state, log.note) for log in found.containers]


def only(manifest: Manifest, pod: str) -> ContainerLog:
    [log] = [log for each in manifest.pods if each.name == pod for log in each.containers]
    return log


async def said(stage: Stage, manifest: Manifest, log: ContainerLog) -> bytes:
    content = await stage.blob(f"{manifest.bucket_id}/{manifest.timestamp}/{log.blob}")
    assert (log.bytes, log.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    return content


async def test_init_sidecar_ephemeral_and_the_run_before_a_restart(stage: Stage) -> None:
    record = await stage.namespace("b")
    for name in ("w", "w-setup", "w-proxy", "w-debug", "w-before"):
        await stage.pod(record.name, name, f"echo {name}" + ("; exit 137" if name == "w-before" else ""))
    parts = (
        Part("w", "setup", "w-setup", kind="init"),
        Part("w", "proxy", "w-proxy", kind="sidecar"),
        Part("w", "debug", "w-debug", kind="ephemeral"),
        Part("w", "main", "w-before", previous=True),
    )
    restarts = {("w", "main"): {"restarts": 4}}
    shown = Composed(stage.cluster, parts, containers=restarts, hidden=frozenset({"w-before"})).port()

    manifest = await reaped(stage.with_parts(cluster=shown))

    nothing = "nothing states how much it printed"
    assert accounts(manifest, "w") == [
        ("main", "main", True, "lost", "restarted: a node keeps the last two runs, 3 earlier are gone"),
        ("main", "main", True, "unknown", f"{nothing}; Error"),
        ("main", "main", False, "unknown", nothing),
        ("setup", "init", False, "unknown", nothing),
        ("proxy", "sidecar", False, "unknown", nothing),
        ("debug", "ephemeral", False, "unknown", nothing),
    ]
    logs = [log for log in manifest.containers if log.blob]
    assert [(log.blob, await said(stage, manifest, log)) for log in logs[:5]] == [
        ("logs/w.main.previous.log", b"w-before\n"),
        ("logs/w.main.log", b"w\n"),
        ("logs/w.setup.log", b"w-setup\n"),
        ("logs/w.proxy.log", b"w-proxy\n"),
        ("logs/w.debug.log", b"w-debug\n"),
    ]


@pytest.mark.parametrize(
    ("pod", "container", "state", "note"),
    [
        (
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            {},
            "unknown",
            "nothing states how much it printed; Error; pod Evicted: The node was low on resource: memory.",
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "low on disk"},
            {"state": "waiting", "terminated": None},
            "lost",
            "there is no log here; the cluster does not say whether it started; pod Evicted: low on disk",
        ),
        (
            {"phase": "Failed", "reason": "OutOfcpu"},
            {"state": "waiting", "terminated": None, "reason": "ContainerCreating"},
            "complete",
            "never started: ContainerCreating; pod OutOfcpu",
        ),
        (
            {"phase": "Pending"},
            {"state": "waiting", "terminated": None, "reason": "ImagePullBackOff"},
            "complete",
            "never started: ImagePullBackOff",
        ),
    ],
    ids=["evicted", "evicted without a status", "rejected by its node", "never started"],
)
async def test_evicted_and_never_started(
    stage: Stage, pod: dict[str, Any], container: dict[str, Any], state: str, note: str
) -> None:
    record = await stage.namespace("b")
    await stage.pod(record.name, "w", "echo words; exit 137")
    shown = Composed(stage.cluster, changes={"w": pod}, containers={("w", "main"): container}).port()
    if state == "lost":
        gone = Broken(lambda: NotFound("there is no log here"), lambda call, _: call == "read_log")
        shown = gone.wrap(shown)
    log = only(await reaped(stage.with_parts(cluster=shown)), "w")
    assert (log.state, log.note) == (state, note)
    assert (log.blob is None) == (state != "unknown")


async def test_a_pod_that_was_deleted_is_known_from_its_events(stage: Stage) -> None:
    record = await stage.namespace("b")
    await stage.pod(record.name, "gone", "echo words")
    await stage.pod(record.name, "here", "echo words")
    shown = Composed(stage.cluster, hidden=frozenset({"gone"})).port()
    manifest = await reaped(stage.with_parts(cluster=shown))
    assert accounts(manifest, "gone") == [("", "", False, "lost", TOLD)]
    assert only(manifest, "here").state == "unknown"
    assert len(manifest.pods) == 2


async def a_job(
    stage: Stage, job_id: str, script: str = "true", *, copies: int = 0, state: Statement | None = None
) -> str:
    """Run a job of one partition, with logs stored by workers; returns the name of its pod."""
    record = await stage.local.get_namespace("livecalc-bucket-b")
    stored = {paths.log(job_id, 0, attempt, "nonce"): KEPT + b"%d\n" % attempt for attempt in range(copies)}
    if state is not None:
        text = msgspec.json.encode(state).decode()
        script = f"{script}; printf '%s' '{text}' > \"$LIVECALC_TERMINATION_MESSAGE\""
    await stage.job(record, job_id, script, logs=stored)
    [pod] = [pod for pod in await stage.ended(record.name) if pod.job == job_id]
    return pod.name


async def test_what_the_worker_of_a_deleted_pod_stored_is_archived(stage: Stage) -> None:
    await stage.namespace("b")
    pod = await a_job(stage, "j-apex00000000", copies=1)
    lost = await a_job(stage, "j-gate00000000")
    shown = Composed(stage.cluster, hidden=frozenset({pod, lost})).port()
    manifest = await reaped(stage.with_parts(cluster=shown))

    log = only(manifest, pod)
    assert (log.state, log.source, log.note) == ("unknown", "worker", f"{TOLD}; nothing states how much it printed")
    assert await said(stage, manifest, log) == KEPT + b"0\n"
    assert accounts(manifest, lost) == [("main", "main", False, "lost", TOLD)]
    of_job = {each.name: (each.job_id, each.index) for each in manifest.pods}
    assert of_job == {pod: ("j-apex00000000", 0), lost: ("j-gate00000000", 0)}
    [(name, path)] = await stage.diagnostics.logs_of_job(ANA, "b", "j-apex00000000")
    assert (name, await stage.blob(path)) == (pod, KEPT + b"0\n")


async def test_a_partition_without_any_pod_or_event_is_told_from_the_jobs_records(stage: Stage) -> None:
    await stage.namespace("b")
    pod = await a_job(stage, "j-apex00000000", copies=2)
    never = await a_job(stage, "j-never0000000")
    shown = Composed(stage.cluster, hidden=frozenset({pod, never}))

    class Forgetful(Composed):
        async def list_events(self, namespace: str) -> list[Any]:
            return [each for each in await self.cluster.list_events(namespace) if not each.object.startswith("Pod/")]

    manifest = await reaped(stage.with_parts(cluster=Forgetful(stage.cluster, hidden=shown.hidden).port()))

    why = "no pod of this partition is there, nor an event that tells of one: it was deleted before, or never made"
    assert accounts(manifest, "j-never0000000-0") == [("main", "main", False, "lost", why)]
    for attempt in range(2):
        log = only(manifest, f"j-apex00000000-0-attempt-{attempt}")
        assert (log.state, log.source) == ("unknown", "worker")
        assert log.note.startswith("which of its partition's pods stored it is not known: none that is there says so")
        assert await said(stage, manifest, log) == KEPT + b"%d\n" % attempt
    assert len(manifest.pods) == 3


async def test_a_log_that_a_pod_states_is_not_archived_twice(stage: Stage) -> None:
    await stage.namespace("b")
    stored = KEPT + b"0\n"
    statement = Statement(
        state="succeeded", log_attempt=0, log_sha256=hashlib.sha256(stored).hexdigest(), log_bytes=len(stored)
    )
    pod = await a_job(stage, "j-apex00000000", copies=1, state=statement)
    manifest = await reaped(stage)
    assert (only(manifest, pod).state, len(manifest.pods)) == ("complete", 1)
    assert manifest.state == "Complete"


async def test_violations_of_deleted_pods_are_taken_from_their_partitions(stage: Stage, tmp_path: Any) -> None:
    record = await stage.namespace("b")
    job_id, moment = "j-apex00000000", "2026-01-25T01:00:00Z"
    pod = await a_job(stage, job_id, "exit 11")
    part = PartitionRecord(
        job_id=job_id,
        index=0,
        first=0,
        stop=40,
        attempt=0,
        state=JobState.FAILED,
        error="a canary was overwritten",
        violations="offset:64,expected:0xA5,actual:0x00",
        started_at=moment,
        finished_at=moment,
    )
    write_partition(tmp_path / "part", part, {})
    content = (tmp_path / "part").read_bytes()
    await stage.blobs.write(f"results-{record.tenant_key}", paths.partition(job_id, 0, "nonce"), content)
    manifest = await reaped(stage.with_parts(cluster=Composed(stage.cluster, hidden=frozenset({pod})).port()))
    [found] = await stage.diagnostics.violations(ANA, "b", manifest.timestamp)
    assert (found.pod, [each.offset for each in found.violations], manifest.violations) == (pod, [64], 1)


async def test_the_records_of_jobs_and_the_versions_are_in_the_archive(stage: Stage) -> None:
    await stage.namespace("b")
    pod = await a_job(stage, "j-apex00000000", "exit 3")
    manifest = await reaped(stage)
    [job] = manifest.jobs
    assert (job.job_id, job.state, job.records) == ("j-apex00000000", "failed", "jobs/j-apex00000000.json")
    assert (job.model_bundle_hash, job.image, job.versions) == ("0" * 64, "none", {})
    records = msgspec.json.decode(await stage.blob(f"b/{manifest.timestamp}/{job.records}"), type=JobRecords)
    assert records.submitted == await stage.book.submitted("acme", "j-apex00000000")
    assert records.finished == await stage.book.finished("acme", records.submitted)
    assert records.finished is not None
    assert pod in (records.finished.error or "")
    assert set(manifest.versions) == {"livecalc", "python", "numpy", "pyarrow", "cluster"}
    assert manifest.versions["cluster"] == f"local, livecalc {manifest.versions['livecalc']}"
    assert (manifest.reason, manifest.reaped_by) == ("requested by ana", "ana")


async def test_a_node_that_does_not_answer_is_said(stage: Stage) -> None:
    record = await stage.namespace("b")
    await stage.pod(record.name, "w", "echo words")
    cut = Broken(lambda: Unavailable("no route to node-1"), lambda call, _: call == "read_log")
    log = only(await reaped(stage.with_parts(cluster=cut.wrap(stage.cluster))), "w")
    assert (log.state, log.blob) == ("lost", None)
    assert log.note == "its node does not answer: no route to node-1"


@pytest.mark.parametrize("listed", [True, False], ids=["in pods.json", "under an earlier path"])
async def test_a_pod_whose_name_is_in_use_again_does_not_get_the_log_of_the_other(
    stage: Stage, *, listed: bool
) -> None:
    """As a StatefulSet does it: another holder saw `db-0`, and ours finds one that was made since."""
    record = await stage.namespace("b")
    pod = await stage.pod(record.name, "db-0", "echo words of the second")
    came: list[str] = []

    async def come_first(call: str, args: tuple[Any, ...]) -> None:
        if call == "write" and args[1].endswith("/pods.json") and not came:
            came.append(args[1])
            seen = [msgspec.structs.replace(pod, uid="first"), *([pod] if listed else [])]
            await stage.blobs.write(args[0], args[1], encode(seen), metadata={"namespace_uid": record.uid})

    manifest = await reaped(stage.with_parts(blobs=tap(stage.blobs, pause=come_first)))
    logs = {each.uid: each.containers[0] for each in manifest.pods}
    assert logs.keys() == {"first", pod.uid}
    assert await said(stage, manifest, logs[pod.uid]) == b"words of the second\n"
    assert (logs["first"].state, logs["first"].blob) == ("lost", None)
    assert logs["first"].note == "its pod is not there any more"
