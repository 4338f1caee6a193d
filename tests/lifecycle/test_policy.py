"""When archiving or auditing fails: best-effort says so and goes on, required keeps the namespace and tries again."""

import asyncio
import logging

import msgspec
import pytest
from lifecycle.stage import ANA, POLICY, Stage
from lifecycle.taps import Broken, tap

from livecalc.domain.errors import Unavailable
from livecalc.domain.namespaces import RETENTION, Status

pytestmark = pytest.mark.anyio
REQUIRED = msgspec.structs.replace(POLICY, archive_policy="required")


def full_disk() -> Unavailable:
    return Unavailable("the store's disk is full")


def broken(*needles: str) -> Broken:
    """A store whose writes of names or containers with these in them fail."""
    return Broken(full_disk, lambda call, args: call == "write" and any(each in "/".join(args[:2]) for each in needles))


async def finalized(stage: Stage, bucket_id: str) -> str:
    record = await stage.namespace(bucket_id)
    await stage.pod(record.name, "worker-1", "echo words")
    await stage.manager().finalize_namespace(ANA, record.name, force=False, request_id="f")
    return record.name


async def test_best_effort_reaps_without_an_archive_and_says_so(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    name = await finalized(stage, "b")
    store = broken("diagnostics-acme")
    report = await stage.with_parts(blobs=store.wrap(stage.blobs)).reaper().sweep()

    assert (report.successful, report.failed) == (1, 0)
    assert await stage.is_gone(name)
    assert store.failures > 0
    [outcome] = report.outcomes
    assert (outcome.state, outcome.archive, outcome.blob_paths) == ("Waived", None, [])
    assert outcome.message.endswith("successfully reaped, but without a complete archive: the store's disk is full")
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [
        f"Namespace {name} is reaped without a complete archive (policy best-effort): the store's disk is full"
    ]
    waiver = await stage.audited(operation="waive-archive")
    assert [(record.phase, record.detail["reason"]) for record in waiver] == [
        ("intent", "the store's disk is full"),
        ("outcome", "the store's disk is full"),
    ]
    intent, outcome_of_it = await stage.audited(operation="reap")
    assert (intent.phase, outcome_of_it.phase) == ("intent", "outcome")
    assert (outcome_of_it.detail["state"], outcome_of_it.detail["waived"]) == ("Waived", "the store's disk is full")


async def test_a_waiver_is_stored_when_the_store_is_back(stage: Stage) -> None:
    name = await finalized(stage, "b")
    deleted: list[str] = []

    async def note(call: str, _: tuple[object, ...]) -> None:
        if call == "delete_namespace":
            deleted.append(call)

    out = Broken(
        lambda: Unavailable("the store is out"),
        lambda call, args: call == "write" and args[0].endswith("diagnostics-acme") and not deleted,
    )
    parts = stage.with_parts(blobs=out.wrap(stage.blobs), cluster=tap(stage.cluster, pause=note))
    report = await parts.reaper().sweep()
    assert await stage.is_gone(name)
    manifest = await stage.manifest("b")
    assert (manifest.state, manifest.notes) == ("Waived", ["the store is out"])
    assert (report.outcomes[0].state, report.outcomes[0].archive) == ("Waived", f"b/{manifest.timestamp}")


async def test_best_effort_leaves_a_manifest_that_says_waived(stage: Stage) -> None:
    name = await finalized(stage, "b")
    report = await stage.with_parts(blobs=broken("pods.json").wrap(stage.blobs)).reaper().sweep()

    assert report.successful == 1
    assert await stage.is_gone(name)
    manifest = await stage.manifest("b")
    assert (manifest.state, manifest.notes) == ("Waived", ["the store's disk is full"])
    assert [(pod.name, log.state) for pod in manifest.pods for log in pod.containers] == [("worker-1", "unknown")]
    assert [blob.name for blob in manifest.blobs] == ["logs/worker-1.log"]
    assert (await stage.diagnostics.verify(ANA, "b", manifest.timestamp)).holds
    [outcome] = report.outcomes
    assert outcome.state == "Waived"


async def test_required_keeps_the_namespace_until_it_is_archived(stage: Stage) -> None:
    name = await finalized(stage, "b")
    store = broken("manifest.json")
    required = stage.with_parts(blobs=store.wrap(stage.blobs), policy=REQUIRED)
    report = await required.reaper("first").sweep()

    assert (report.successful, report.failed, report.clean) == (0, 1, False)
    [outcome] = report.outcomes
    assert outcome.message == f"namespace {name} is kept, because it could not be archived: the store's disk is full"
    kept = await stage.local.get_namespace(name)
    assert (kept.status, kept.terminating) == (Status.REAPING, False)
    assert (await required.reaper("second").sweep()).failed == 1

    store.on = False
    report = await required.reaper("third").sweep()
    assert report.successful == 1
    assert await stage.is_gone(name)
    assert len(await stage.manifests("b")) == 1
    assert await stage.audited(operation="waive-archive") == []
    assert [record.phase for record in await stage.audited(operation="reap")] == ["intent", "outcome"]


async def test_regulatory_retention_is_always_required_and_a_folder_cannot_keep_it(stage: Stage) -> None:
    """`test_regulatory.py` has the same with a store that protects."""
    name = await finalized(stage, "b")
    await stage.annotate(await stage.local.get_namespace(name), {RETENTION: "regulatory"})
    report = await stage.reaper("first").sweep()

    assert (report.successful, report.failed) == (0, 1)
    [outcome] = report.outcomes
    assert outcome.message.startswith(f"namespace {name} is kept, because it could not be archived: ")
    assert outcome.message.endswith(
        "cannot be locked in regulatory-acme: a folder cannot protect anything, use Azure Blob Storage"
    )
    assert not await stage.is_gone(name)
    assert await stage.container("regulatory-acme") == {}
    assert await stage.container("diagnostics-acme") == {}
    assert await stage.audited(operation="waive-archive") == []


async def test_required_does_nothing_that_cannot_be_audited(stage: Stage) -> None:
    name = await finalized(stage, "b")
    store = broken("audit-acme")
    required = stage.with_parts(blobs=store.wrap(stage.blobs), policy=REQUIRED)
    assert (await required.reaper("first").sweep()).failed == 1
    assert await stage.container("diagnostics-acme") == {}
    assert not (await stage.local.get_namespace(name)).terminating

    store.on = False
    assert (await required.reaper("second").sweep()).successful == 1
    assert [record.phase for record in await stage.audited(operation="reap")] == ["intent", "outcome"]


async def test_best_effort_logs_what_cannot_be_audited(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    name = await finalized(stage, "b")
    report = await stage.with_parts(blobs=broken("audit-acme").wrap(stage.blobs)).reaper().sweep()

    assert report.successful == 1
    assert await stage.is_gone(name)
    lines = [record.message for record in caplog.records if record.message.startswith("AUDIT ")]
    written = [msgspec.json.decode(line.removeprefix("AUDIT ")) for line in lines]
    assert [(record["operation"], record["phase"]) for record in written] == [("reap", "intent"), ("reap", "outcome")]
    assert await stage.audited(operation="reap") == []


async def test_one_bad_namespace_does_not_delay_the_others(stage: Stage) -> None:
    good, bad = await finalized(stage, "good"), await finalized(stage, "bad")
    required = stage.with_parts(blobs=broken("bad/").wrap(stage.blobs), policy=REQUIRED)
    report = await required.reaper().sweep()
    assert (report.successful, report.failed) == (1, 1)
    assert await stage.is_gone(good)
    assert not await stage.is_gone(bad)


async def test_a_bug_in_one_reaping_is_kept_from_the_others(stage: Stage) -> None:
    good, bad = await finalized(stage, "good"), await finalized(stage, "bad")
    buggy = Broken(lambda: RuntimeError("a bug"), lambda call, args: call == "read_log" and args[0] == bad)
    stricken = stage.with_parts(cluster=buggy.wrap(stage.cluster))
    reaper = stricken.reaper("first")
    report = await reaper.sweep()
    assert (report.successful, report.failed) == (1, 1)
    assert await stage.is_gone(good)
    buggy.on = False
    assert (await reaper.sweep()).successful == 1
    assert await stage.is_gone(bad)


async def test_each_namespace_has_a_deadline(stage: Stage) -> None:
    good, bad = await finalized(stage, "good"), await finalized(stage, "bad")
    stuck = asyncio.Event()

    async def hang(call: str, args: tuple[object, ...]) -> None:
        if call == "write" and str(args[1]).startswith("bad/"):
            await stuck.wait()

    policy = msgspec.structs.replace(POLICY, deadline=2.0, concurrency=2)
    reaper = stage.with_parts(blobs=tap(stage.blobs, pause=hang), policy=policy).reaper()
    report = await reaper.sweep()
    assert (report.successful, report.failed) == (1, 1)
    assert await stage.is_gone(good)
    assert not await stage.is_gone(bad)
    stuck.set()
    assert (await reaper.sweep()).successful == 1
    phases = sorted(record.phase for record in await stage.audited(operation="reap"))
    assert phases == ["intent", "intent", "outcome", "outcome"]


async def test_a_reap_that_was_asked_for_has_the_deadline_too(stage: Stage) -> None:
    name = await finalized(stage, "bad")
    stuck = asyncio.Event()

    async def hang(call: str, args: tuple[object, ...]) -> None:
        if call == "write" and str(args[1]).startswith("bad/"):
            await stuck.wait()

    policy = msgspec.structs.replace(POLICY, deadline=0.5)
    manager = stage.with_parts(blobs=tap(stage.blobs, pause=hang), policy=policy).manager()

    async def ask() -> None:
        await manager.reap_namespace(ANA, name, bucket_id="bad", force=False, request_id="r")

    for _ in range(2):  # a reap, and going on with it
        with pytest.raises(Unavailable, match=f"reaping namespace {name} took more than 0.5 s: a later sweep goes on"):
            await ask()
    stuck.set()
    assert (await stage.reaper().sweep()).successful == 1
    assert await stage.is_gone(name)


async def test_a_manifest_is_read_back_before_anything_is_deleted(stage: Stage) -> None:
    """A store that loses a blob after acknowledging it: no receipt, so no deletion under `required`."""
    name = await finalized(stage, "b")

    async def lose(call: str, args: tuple[object, ...]) -> None:
        if call == "write" and str(args[1]).endswith("/manifest.json"):
            await stage.blobs.delete(str(args[0]), str(args[1]).replace("manifest.json", "logs/worker-1.log"))

    required = stage.with_parts(blobs=tap(stage.blobs, pause=lose), policy=REQUIRED)
    report = await required.reaper("first").sweep()
    assert report.failed == 1
    assert "logs/worker-1.log is missing" in report.outcomes[0].message
    assert not (await stage.local.get_namespace(name)).terminating


async def test_what_was_waived_before_is_archived_anew_where_an_archive_is_required(stage: Stage) -> None:
    """The policy was made stricter after a sweep that waived an archive, and was then stopped."""
    name = await finalized(stage, "b")

    async def fail(call: str, args: tuple[object, ...]) -> None:
        if call == "write" and str(args[1]).endswith("logs/worker-1.log"):
            raise Unavailable("the store is full")
        if call == "delete_namespace":
            raise Unavailable("the cluster is away")

    parts = stage.with_parts(blobs=tap(stage.blobs, pause=fail), cluster=tap(stage.cluster, pause=fail), policy=POLICY)
    assert (await parts.reaper("first").sweep()).failed == 1
    assert [each.state for each in await stage.manifests("b")] == ["Waived"]

    report = await stage.with_parts(policy=REQUIRED).reaper("second").sweep()
    assert [(each.success, each.state) for each in report.outcomes] == [(True, "PartiallyComplete")]
    assert await stage.is_gone(name)


async def test_an_archive_that_cannot_be_proved_is_told_as_waived(stage: Stage) -> None:
    name = await finalized(stage, "b")

    async def lose(call: str, args: tuple[object, ...]) -> None:
        if call == "write" and str(args[1]).endswith("/manifest.json"):
            await stage.blobs.delete(str(args[0]), str(args[1]).replace("manifest.json", "logs/worker-1.log"))

    report = await stage.with_parts(blobs=tap(stage.blobs, pause=lose), policy=POLICY).reaper().sweep()
    assert (report.outcomes[0].state, report.outcomes[0].success) == ("Waived", True)
    assert await stage.is_gone(name)
