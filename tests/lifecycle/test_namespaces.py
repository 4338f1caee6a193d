"""What callers may do with their buckets' namespaces, and what they are told when they may not."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from lifecycle.stage import ANA, BOB, Stage
from support.waiting import eventually

from livecalc.cluster.port import ClusterJob
from livecalc.domain.errors import Conflict, InvalidInput, NotFound, Reaping
from livecalc.domain.jobs import JobState
from livecalc.domain.namespaces import (
    FINALIZED_AT,
    FINALIZER,
    LABELS,
    LAST_ACTIVITY,
    REAP_HOLDER,
    REAP_RENEWED_AT,
    STATUS,
    TENANT_ID,
    NamespaceRecord,
    Status,
)
from livecalc.domain.receipts import ArchiveWaiver
from livecalc.domain.retention import Retention
from livecalc.domain.timestamps import format_timestamp

pytestmark = pytest.mark.anyio


async def running_job(stage: Stage, record: NamespaceRecord, job_id: str) -> None:
    await stage.job(record, job_id, "echo begun; sleep 60")

    async def runs() -> list[ClusterJob]:
        return [each for each in await stage.local.list_jobs(record.name) if each.state == "running"]

    await eventually(runs)


async def test_creating_twice_gives_the_same_namespace(stage: Stage) -> None:
    manager = stage.manager()
    created, new = await manager.create_namespace(ANA, "q4", request_id="1")
    again, renewed = await manager.create_namespace(ANA, "q4", request_id="2")
    assert (new, renewed, again.uid) == (True, False, created.uid)
    assert created.name == "livecalc-bucket-q4"
    assert created.labels == {**LABELS, "bucket-id": "q4", "tenant-id": "acme"}
    assert created.annotations["tenant-id"] == "acme"
    assert created.status is Status.ACTIVE
    assert [record.phase for record in await stage.audited(operation="create-namespace")] == ["intent", "outcome"]


async def test_twenty_creations_at_once_make_one(stage: Stage) -> None:
    manager = stage.manager()
    made = await asyncio.gather(*(manager.create_namespace(ANA, "q4", request_id=f"{n}") for n in range(20)))
    assert sum(new for _, new in made) == 1
    assert len({record.uid for record, _ in made}) == 1


async def test_creating_again_is_activity(stage: Stage) -> None:
    record = await stage.namespace("q4", idle=timedelta(hours=23))
    await stage.manager().create_namespace(ANA, "q4", request_id="2")
    fresh = await stage.local.get_namespace(record.name)
    assert fresh.annotations[LAST_ACTIVITY] > record.annotations[LAST_ACTIVITY]


@pytest.mark.parametrize("bucket_id", ["", "Q4", "a_b", "-a", "a-", "a" * 48, "mttc-1", "é", "a.b", "a/b", " a"])
async def test_other_ids_are_refused_never_changed(stage: Stage, bucket_id: str) -> None:
    with pytest.raises(InvalidInput):
        await stage.manager().create_namespace(ANA, bucket_id, request_id="1")
    assert not (await stage.local.list_namespaces({})).items


async def test_why_an_id_is_not_available_is_told_to_its_own_tenant_alone(stage: Stage) -> None:
    manager = stage.manager()
    record = await stage.namespace("q4")
    for status, reason in ((Status.FINALIZED, "is finalized"), (Status.REAPING, "is being reaped")):
        await stage.annotate(record, {STATUS: status})
        with pytest.raises(Conflict, match=reason):
            await manager.create_namespace(ANA, "q4", request_id="1")
        with pytest.raises(Conflict, match=r"^bucket id not available$"):
            await manager.create_namespace(BOB, "q4", request_id="1")
    await stage.annotate(record, {STATUS: Status.ACTIVE, "retention": "regulatory"})
    with pytest.raises(Conflict, match="has retention regulatory, not standard"):
        await manager.create_namespace(ANA, "q4", retention=Retention.STANDARD, request_id="1")
    assert (await manager.create_namespace(ANA, "q4", request_id="1"))[1] is False
    with pytest.raises(Conflict, match=r"^bucket id not available$"):
        await manager.create_namespace(BOB, "q4", request_id="1")
    await stage.local.create_namespace("livecalc-bucket-mine", labels={"app": "something-else"}, annotations={})
    with pytest.raises(Conflict, match=r"^bucket id not available$"):
        await manager.create_namespace(ANA, "mine", request_id="1")


async def test_regulatory_retention_needs_a_store_that_can_lock(stage: Stage) -> None:
    with pytest.raises(InvalidInput, match="a folder cannot protect anything: keep blobs in Azure Blob Storage"):
        await stage.manager().create_namespace(ANA, "q4", retention=Retention.REGULATORY, request_id="1")
    assert not (await stage.local.list_namespaces({})).items


async def test_lists_have_pages_and_hide_others_and_recomputations(stage: Stage) -> None:
    manager = stage.manager()
    for bucket_id in ("b", "c", "a"):
        await stage.namespace(bucket_id)
    await stage.namespace("z", principal=BOB)
    await manager.create_recomputation(ANA, "mttc-0123456789abcdef0123")
    await stage.local.create_volume_claim("livecalc-bucket-a", "data")
    await stage.pod("livecalc-bucket-a", "worker-1", "true")

    page = await manager.list_namespaces(ANA, limit=2)
    assert [(each.bucket_id, each.pod_count, each.pvc_count) for each in page] == [("a", 1, 1), ("b", 0, 0)]
    assert [each.bucket_id for each in await manager.list_namespaces(ANA, after=page[-1].namespace)] == ["c"]
    assert [each.bucket_id for each in await manager.list_namespaces(BOB)] == ["z"]
    whole = await manager.list_namespaces(ANA, recomputations=True)
    assert [each.bucket_id for each in whole] == ["a", "b", "c", "mttc-0123456789abcdef0123"]


async def test_another_tenants_namespace_does_not_exist(stage: Stage) -> None:
    manager, name = stage.manager(), (await stage.namespace("q4")).name
    refused = r"^there is no namespace livecalc-bucket-q4$"
    with pytest.raises(NotFound, match=refused):
        await manager.get_namespace(BOB, name)
    with pytest.raises(NotFound, match=refused):
        await manager.finalize_namespace(BOB, name, force=True, request_id="1")
    with pytest.raises(NotFound, match=refused):
        await manager.reap_namespace(BOB, name, bucket_id="q4", force=True, request_id="1")
    assert (await manager.get_namespace(ANA, name)).status == "active"
    assert not await stage.audited(operation="finalize", tenant_id="other")


async def test_a_namespace_is_seen_as_it_is(stage: Stage) -> None:
    record = await stage.namespace("q4")
    seen = await stage.manager().get_namespace(ANA, record.name)
    assert (seen.created_at, seen.last_activity) == (
        record.annotations["created-at"],
        record.annotations[LAST_ACTIVITY],
    )
    await stage.annotate(record, {LAST_ACTIVITY: "yesterday", STATUS: "sleeping"})
    seen = await stage.manager().get_namespace(ANA, record.name)
    assert (seen.last_activity, seen.status) == (None, "unknown")


async def test_finalizing_is_idempotent_and_names_running_jobs(stage: Stage) -> None:
    manager, record = stage.manager(), await stage.namespace("q4")
    await running_job(stage, record, "j-awake0000000")
    with pytest.raises(Conflict, match="j-awake0000000"):
        await manager.finalize_namespace(ANA, record.name, force=False, request_id="1")

    finalized = await manager.finalize_namespace(ANA, record.name, force=True, request_id="2")

    assert finalized.status == "finalized"
    assert not any(pod.alive for pod in await stage.local.list_pods(record.name))
    ended = await stage.book.finished("acme", await stage.book.submitted("acme", "j-awake0000000"))
    assert ended is not None
    assert ended.state is JobState.CANCELLED
    stamped = (await stage.local.get_namespace(record.name)).annotations[FINALIZED_AT]
    again = await manager.finalize_namespace(ANA, record.name, force=False, request_id="3")
    assert again == finalized
    assert (await stage.local.get_namespace(record.name)).annotations[FINALIZED_AT] == stamped
    [intent, outcome] = await stage.audited(operation="finalize")
    assert (intent.request_id, outcome.result, outcome.detail["cancelled"]) == ("2", "ok", ["j-awake0000000"])


async def test_reaping_on_request(stage: Stage) -> None:
    manager, record = stage.manager(), await stage.namespace("q4")
    with pytest.raises(InvalidInput, match="not that of bucket"):
        await manager.reap_namespace(ANA, record.name, bucket_id="q3", force=False, request_id="1")
    await running_job(stage, record, "j-awake0000000")
    [pod] = await stage.local.list_pods(record.name)
    with pytest.raises(Conflict, match=pod.name):
        await manager.reap_namespace(ANA, record.name, bucket_id="q4", force=False, request_id="2")

    answer = await manager.reap_namespace(ANA, record.name, bucket_id="q4", force=True, request_id="3")

    assert answer.success
    assert answer.message == f"Namespace {record.name} successfully reaped"
    manifest = await stage.manifest("q4")
    folder = f"q4/{manifest.timestamp}"
    assert answer.diagnostics.logs_archived
    assert answer.diagnostics.sentinel_violations_indexed == 0
    assert answer.diagnostics.blob_paths == [
        f"{folder}/{name}"
        for name in (
            "events.json",
            "jobs/j-awake0000000.json",
            f"logs/{pod.name}.log",
            "pods.json",
            "sentinel-violations.json",
            "manifest.json",
        )
    ]
    assert (manifest.reason, manifest.reaped_by) == ("requested by ana", "ana")
    assert [(job.job_id, job.state) for job in manifest.jobs] == [("j-awake0000000", "cancelled")]
    assert await stage.is_gone(record.name)
    records = await stage.audited(operation="reap")
    assert [(each.user_id, each.request_id, each.phase) for each in records] == [
        ("ana", f"3-{record.uid}", "intent"),
        ("ana", f"3-{record.uid}", "outcome"),
    ]
    cancelled = await stage.audited(operation="cancel")
    assert [each.detail["jobs"] for each in cancelled] == [["j-awake0000000"]] * 2
    with pytest.raises(NotFound):
        await manager.reap_namespace(ANA, record.name, bucket_id="q4", force=True, request_id="4")


async def test_a_claim_of_another_worker_is_respected_while_it_lives(stage: Stage) -> None:
    record = await stage.finalized("q4")
    now = await stage.cluster.now()
    await stage.annotate(
        record, {STATUS: Status.REAPING, REAP_HOLDER: "worker-7f2c", REAP_RENEWED_AT: format_timestamp(now)}
    )
    manager = stage.manager()
    patient = stage.with_parts(policy=msgspec.structs.replace(stage.policy, claim_timeout=60.0)).manager()
    with pytest.raises(Reaping, match="is being reaped by worker-7f2c"):
        await patient.reap_namespace(ANA, record.name, bucket_id="q4", force=False, request_id="1")
    assert (await manager.get_namespace(ANA, record.name)).reaped_by == "worker-7f2c"
    assert (await manager.finalize_namespace(ANA, record.name, force=False, request_id="2")).status == "reaping"

    old = format_timestamp(now - timedelta(hours=1))
    await stage.annotate(record, {REAP_RENEWED_AT: old})
    answer = await manager.reap_namespace(ANA, record.name, bucket_id="q4", force=False, request_id="3")
    assert answer.success
    assert await stage.is_gone(record.name)


async def test_a_failed_reap_is_an_answer(stage: Stage) -> None:
    record = await stage.namespace("q4")
    await stage.local.patch_namespace(record, add_finalizer="example.com/keep")
    hasty = stage.with_parts(policy=msgspec.structs.replace(stage.policy, wait=0.2))
    answer = await hasty.manager().reap_namespace(ANA, record.name, bucket_id="q4", force=False, request_id="1")
    assert not answer.success
    assert "finalizer example.com/keep" in answer.message
    stuck = await stage.local.get_namespace(record.name)
    assert FINALIZER in stuck.finalizers
    assert stuck.annotations.get(REAP_HOLDER) is None
    await stage.local.patch_namespace(stuck, remove_finalizer="example.com/keep")
    # It was given back, so that nobody has to wait for a timeout.
    answer = await stage.manager("api-2").reap_namespace(ANA, record.name, bucket_id="q4", force=False, request_id="2")
    assert answer.success
    assert [each.request_id for each in await stage.audited(operation="reap")] == [f"1-{record.uid}"] * 2


async def test_recomputations_leave_nothing(stage: Stage) -> None:
    manager = stage.manager()
    record = await manager.create_recomputation(ANA, "mttc-0123456789abcdef0123")
    await stage.job(record, "j-recast000000", "true")
    await stage.ended(record.name)
    outcome = await manager.delete_recomputation(record)
    assert outcome is not None
    assert (outcome.success, outcome.archive) == (True, None)
    assert await stage.is_gone(record.name)
    assert await manager.delete_recomputation(record) is None
    assert await stage.container("diagnostics-acme") == {}
    assert await stage.container("results-acme") == {}
    assert await stage.audited(operation="waive-archive") == []


async def test_leftovers_of_a_killed_recomputation_evaporate(stage: Stage) -> None:
    record = await stage.manager().create_recomputation(ANA, "mttc-0123456789abcdef0123")
    await stage.age(record, timedelta(hours=25))
    required = stage.with_parts(policy=stage.policy)
    report = await required.reaper().sweep()
    assert report.successful == 1
    assert await stage.container("diagnostics-acme") == {}


async def test_a_namespace_on_its_way_out_is_told_to_come_back(stage: Stage) -> None:
    record = await stage.namespace("q4")
    held = await stage.local.patch_namespace(record, add_finalizer="example.com/keep")
    await stage.local.delete_namespace(held, ArchiveWaiver(namespace_uid=record.uid, reason="kubectl"))
    with pytest.raises(Reaping, match="come back in a minute"):
        await stage.manager().create_namespace(ANA, "q4", request_id="1")
    with pytest.raises(Conflict, match="deleted by someone else"):
        await stage.manager().reap_namespace(ANA, record.name, bucket_id="q4", force=True, request_id="1")
    stuck = await stage.local.get_namespace(record.name)
    await stage.local.patch_namespace(stuck, remove_finalizer="example.com/keep")


async def test_only_what_is_ours_is_touched(stage: Stage) -> None:
    """Namespaces that are named or labelled almost like ours stay, however old they are."""
    record = await stage.namespace("real", idle=timedelta(days=9))
    almost = {
        "livecalc-bucket-no-tenant": {**record.labels, "bucket-id": "no-tenant", TENANT_ID: ""},
        "livecalc-bucket-other-name": {**record.labels, "bucket-id": "another"},
        "livecalc-bucket-no-label": {key: value for key, value in record.labels.items() if key != "lifecycle"},
        "livecalc-bucket-wrong-tenant": {**record.labels, "bucket-id": "wrong-tenant", TENANT_ID: "other"},
    }
    for name, labels in almost.items():
        kept = {key: value for key, value in labels.items() if value}
        annotations = {**record.annotations, STATUS: Status.FINALIZED}
        await stage.local.create_namespace(name, labels=kept, annotations=annotations)
    before = {each.name: each for each in (await stage.local.list_namespaces({})).items}

    report = await stage.reaper().sweep()

    after = {each.name: each for each in (await stage.local.list_namespaces({})).items}
    assert report.successful == 1
    assert after == {name: record for name, record in before.items() if name != "livecalc-bucket-real"}
    assert report.clean
    assert sorted(report.notices) == [
        "namespace livecalc-bucket-no-tenant is left alone: it has no tenant-id label",
        "namespace livecalc-bucket-other-name is left alone: its name is not that of its bucket-id label",
        "namespace livecalc-bucket-wrong-tenant is left alone: its tenant-id annotation and label do not fit",
    ]
