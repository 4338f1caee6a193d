"""A whole reap, on the real parts: what is archived, what is left, what is audited, what is logged."""

import hashlib
import logging
from datetime import timedelta

import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.stage import ANA, Stage
from lifecycle.taps import Broken

from livecalc.domain.errors import Unavailable

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]


async def test_a_finalized_namespace_is_archived_and_gone(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    record = await stage.namespace("q4")
    await stage.pod(record.name, "worker-1", "echo one; echo two")
    await stage.manager().finalize_namespace(ANA, record.name, force=False, request_id="f")
    caplog.set_level(logging.INFO, logger="livecalc.cleanup")

    report = await stage.reaper().sweep()

    assert (report.successful, report.failed, report.clean) == (1, 0, True)
    assert await stage.is_gone(record.name)
    manifest = await stage.manifest("q4")
    path = f"q4/{manifest.timestamp}"
    assert [blob.name for blob in manifest.blobs] == [
        "events.json",
        "logs/worker-1.log",
        "pods.json",
        "sentinel-violations.json",
    ]
    assert await stage.blob(f"{path}/logs/worker-1.log") == b"one\ntwo\n"
    assert await stage.json(f"{path}/sentinel-violations.json") == []
    assert manifest.namespace_uid == record.uid
    assert (manifest.reason, manifest.reaped_by, manifest.holder) == ("finalized", "system:cleanup-worker", "worker-1")
    [outcome] = report.outcomes
    assert outcome.archive == path
    assert outcome.blob_paths[-1] == f"{path}/manifest.json"
    stored = await stage.container("diagnostics-acme")
    assert outcome.manifest_sha256 == hashlib.sha256(stored[f"{path}/manifest.json"]).hexdigest()
    intent, result = await stage.audited(operation="reap")
    assert (intent.phase, intent.namespace, intent.bucket_id) == ("intent", record.name, "q4")
    assert (result.phase, result.result) == ("outcome", "ok")
    assert result.detail["manifest_sha256"] == outcome.manifest_sha256
    assert manifest.audit_head == f"{intent.sequence}:{intent.hash}"
    assert [message for _, _, message in caplog.record_tuples] == [
        "Starting cleanup worker",
        "Found 1 namespaces eligible for cleanup",
        f"Reaping namespace {record.name}",
        "Archived logs for pod worker-1",
        "Indexed 0 sentinel violations",
        f"Deleted namespace {record.name}",
        f"Successfully reaped namespace {record.name}",
        "Cleanup worker finished: 1 successful, 0 failed",
    ]


async def test_only_what_is_idle_goes(stage: Stage) -> None:
    idle = await stage.namespace("idle", idle=timedelta(hours=25))
    fresh = await stage.namespace("fresh", idle=timedelta(hours=23))

    report = await stage.reaper().sweep()

    assert report.successful == 1
    assert await stage.is_gone(idle.name)
    assert not await stage.is_gone(fresh.name)
    assert (await stage.manifest("idle")).reason == "idle > 24h"


async def test_that_nothing_could_be_archived_is_in_the_answer(stage: Stage) -> None:
    record = await stage.finalized("b")
    full = Broken(lambda: Unavailable("it is full"), lambda call, args: call == "write" and "diagnostics" in args[0])
    manager = stage.with_parts(blobs=full.wrap(stage.blobs)).manager()
    answer = await manager.reap_namespace(ANA, record.name, bucket_id="b", force=False, request_id="r")
    assert (answer.success, answer.diagnostics.logs_archived, answer.diagnostics.blob_paths) == (True, False, [])
    assert await stage.is_gone(record.name)
    waivers = await stage.audited(operation="waive-archive")
    assert [(each.phase, each.user_id, each.detail["reason"]) for each in waivers] == [
        ("intent", "ana", "it is full"),
        ("outcome", "ana", "it is full"),
    ]
