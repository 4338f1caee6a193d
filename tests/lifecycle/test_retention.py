"""Retention on a real store whose clock is turned: what is kept, what goes and with what, and what is audited."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.retention_stage import BUNDLE, everything, keeper, push, reaped
from lifecycle.stage import ANA, Stage
from lifecycle.taps import Broken, tap
from support.waiting import eventually

from livecalc.blobs.directory import DirectoryStore
from livecalc.blobs.port import BlobInfo, BlobStore, read_all
from livecalc.domain.errors import Unavailable
from livecalc.domain.jobs import new_job_id
from livecalc.domain.receipts import ArchiveWaiver
from livecalc.domain.retention import Retention
from livecalc.domain.tenants import Principal
from livecalc.domain.timestamps import format_timestamp, parse_timestamp
from livecalc.lifecycle.archive.places import RETAIN_UNTIL, kept_until
from livecalc.lifecycle.retention.curator import RetentionPolicy

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]
JOB, OTHER = "j-000000000001", "j-000000000002"


async def audited(stage: Stage) -> list[tuple[str, str | None, dict[str, Any]]]:
    records = await stage.audited(operation="retention-delete")
    return [(record.phase, record.result, record.detail) for record in records]


async def test_all_blobs_of_an_archive_say_the_same_date(stage: Stage) -> None:
    manifest = await reaped(stage, "q4", JOB)
    infos = [info async for info in stage.blobs.list_blobs("diagnostics-acme", "q4/")]
    assert len(infos) > 5
    assert {info.metadata[RETAIN_UNTIL] for info in infos} == {manifest.retain_until}
    claimed = manifest.claimed_at.replace("-", "").replace(":", "").replace("T", "-").rstrip("Z")
    assert manifest.timestamp == claimed


async def test_an_archive_goes_with_its_job_and_bundle_when_its_date_is_past(stage: Stage) -> None:
    await push(stage)
    manifest = await reaped(stage, "q4", JOB)
    path = f"q4/{manifest.timestamp}"
    before = await everything(stage.blobs)
    assert any(name.startswith("_index/") for name in before["diagnostics-acme"])
    assert any(name.startswith("keys/q4/") for name in before["results-acme"])

    early = keeper(stage, 29.9)
    decisions = await early.decisions()
    assert {what: decision for what, (decision, _) in decisions.items()} == {
        f"archive {path}": "keep",
        f"job {JOB}": "keep",
        f"bundle {BUNDLE}": "keep",
    }
    assert decisions[f"job {JOB}"][1] == f"archive {path} needs it"
    assert decisions[f"bundle {BUNDLE}"][1] == f"job {JOB} needs it"
    assert (await early.apply()).outcomes == ()
    assert await everything(stage.blobs) == before

    late = keeper(stage, 31)
    plan = await late.plan()
    assert await everything(stage.blobs) == before, "a plan changes nothing"
    assert [entry.seen.target.kind for entry in plan.due] == ["archive", "job", "bundle"]
    report = await late.curator.apply(plan)

    assert report.clean
    assert [outcome.result for outcome in report.outcomes] == ["deleted"] * 3
    assert await everything(stage.blobs) == {}
    assert report.bytes == sum(
        len(body) for blobs in before.values() for name, body in blobs.items() if not name.startswith("_index/")
    )
    said = await audited(stage)
    assert [(phase, result) for phase, result, _ in said] == [("intent", None), ("outcome", "ok")] * 3
    assert [detail[key] for (*_, detail), key in zip(said[::2], ["archive", "job", "bundle"], strict=True)] == [
        path,
        JOB,
        BUNDLE,
    ]
    assert (await stage.audit.verify("acme")).holds
    assert await stage.diagnostics.list_archives(ANA) == []
    assert [each.archive async for each in stage.diagnostics.verify_all(ANA) if not each.holds] == []
    assert (await late.apply()).outcomes == ()
    assert len(await audited(stage)) == 6


async def test_what_another_archive_needs_stays(stage: Stage) -> None:
    await push(stage)
    old = await reaped(stage, "old", JOB)
    young = await reaped(stage, "young", OTHER)
    # The younger archive was promised more: its manifest and its other blobs do not agree, and the later date counts.
    name = f"young/{young.timestamp}/note"
    await stage.blobs.write("diagnostics-acme", name, b"", metadata={RETAIN_UNTIL: "2999-01-01T00:00:00Z"})

    report = await keeper(stage, 31).apply()

    assert report.clean
    assert [outcome.target.name for outcome in report.outcomes] == [f"old/{old.timestamp}", JOB]
    left = await everything(stage.blobs)
    assert set(left["bundles-acme"]) == {BUNDLE}
    assert all(OTHER in each or "young" in each for each in left["results-acme"])
    assert (await stage.diagnostics.list_archives(ANA))[0].bucket_id == "young"


async def test_the_jobs_of_a_namespace_that_lives_stay_for_ever(stage: Stage) -> None:
    await push(stage)
    record = await stage.namespace("alive")
    await stage.job(record, JOB, "true")
    await stage.ended(record.name)
    decisions = await keeper(stage, 400).decisions()
    assert decisions[f"job {JOB}"] == ("keep", "its bucket has a namespace")
    assert decisions[f"bundle {BUNDLE}"] == ("keep", f"job {JOB} needs it")


async def test_a_job_without_archive_and_namespace_stays_for_30_days(stage: Stage) -> None:
    await push(stage)
    record = await stage.namespace("alive")
    await stage.job(record, JOB, "true")
    await stage.ended(record.name)
    # Somebody deletes the namespace by hand.
    fresh = await stage.local.get_namespace(record.name)
    await stage.local.delete_namespace(fresh, ArchiveWaiver(namespace_uid=record.uid, reason="by hand"))
    await eventually(lambda: stage.is_gone(record.name))

    assert (await keeper(stage, 29).decisions())[f"job {JOB}"][0] == "keep"
    assert (await keeper(stage, 31).apply()).count("deleted") == 2
    assert await everything(stage.blobs) == {}


async def test_what_is_regulatory_stays_for_seven_years_on_its_own_shelf(stage: Stage) -> None:
    await push(stage)
    manifest = await reaped(stage, "q4", JOB)
    if isinstance(stage.blobs, DirectoryStore):
        (stage.root / "blobs" / "regulatory-acme").mkdir()  # an operator makes such containers
    until = format_timestamp(kept_until(f"q4/{manifest.timestamp}", Retention.REGULATORY))
    later = {manifest.retain_until: until, '"retention": "standard"': '"retention": "regulatory"'}
    await move(stage.blobs, ("diagnostics-acme", "q4/"), ("regulatory-acme", "archives/q4/"), later)
    for prefix in ("jobs/", "buckets/"):
        await move(stage.blobs, ("results-acme", prefix), ("regulatory-acme", f"results/{prefix}"), later)
    await move(stage.blobs, ("bundles-acme", ""), ("regulatory-acme", "bundles/"), later)

    decisions = await keeper(stage, 31).decisions()
    assert len(decisions) == 3
    assert {decision for decision, _ in decisions.values()} == {"keep"}
    assert (await keeper(stage, 7 * 365).apply()).outcomes == ()
    report = await keeper(stage, 7 * 366).apply()
    assert report.clean
    assert report.count("deleted") == 3
    assert await everything(stage.blobs) == {}


async def move(blobs: BlobStore, source: tuple[str, str], target: tuple[str, str], changes: Mapping[str, str]) -> None:
    """Move what begins with a prefix elsewhere, and change some words in it."""
    (container, prefix), (other, start) = source, target
    infos = [info async for info in blobs.list_blobs(container, prefix)]
    for info in infos:
        body = await read_all(blobs, container, info.name)
        for old, new in changes.items():
            body = body.replace(old.encode(), new.encode())
        metadata = {key: changes.get(value, value) for key, value in info.metadata.items()}
        await blobs.write(other, start + info.name.removeprefix(prefix), body, metadata=metadata)
        await blobs.delete(container, info.name)


async def test_at_most_so_many_archives_go_and_the_oldest_first(stage: Stage) -> None:
    names = [f"b-{number}" for number in range(4)]
    for number, name in enumerate(names):
        path = f"{name}/20260101-00000{number}/events.json"
        await stage.blobs.write(
            "diagnostics-acme", path, b"[]", metadata={RETAIN_UNTIL: f"2026-02-0{4 - number}T00:00:00Z"}
        )
    policy = RetentionPolicy(max_deletions=3)
    first = await keeper(stage, 3650, policy=policy).apply()
    assert sorted(outcome.target.bucket_id for outcome in first.outcomes) == ["b-1", "b-2", "b-3"]
    second = await keeper(stage, 3650, policy=policy).apply()
    assert [outcome.target.bucket_id for outcome in second.outcomes] == ["b-0"]


@pytest.mark.parametrize("ahead", [timedelta(minutes=6), -timedelta(minutes=6)])
async def test_nothing_goes_by_a_clock_that_is_wrong(stage: Stage, ahead: timedelta) -> None:
    await push(stage)
    await reaped(stage, "q4", JOB)
    before = await everything(stage.blobs)
    late = keeper(stage, 31, skew=ahead)
    report = await late.apply()
    assert not report.clean
    assert "nothing is deleted until they agree" in report.problems[0]
    assert report.outcomes == ()
    assert await everything(stage.blobs) == before
    assert {reason.rpartition(", ")[2] for _, reason in (await late.decisions()).values()} >= {
        "but not certain in this run"
    }


@pytest.mark.parametrize("content", [b"?", b'{"x":' + b"[" * 5000])
async def test_what_cannot_be_read_stays_and_is_reported(stage: Stage, content: bytes) -> None:
    await push(stage)
    manifest = await reaped(stage, "q4", JOB)
    path = f"q4/{manifest.timestamp}"
    name = f"{path}/manifest.json"
    metadata = (await stage.blobs.stat("diagnostics-acme", name)).metadata
    await stage.blobs.delete("diagnostics-acme", name)
    await stage.blobs.write("diagnostics-acme", name, content, metadata=metadata)
    late = keeper(stage, 31)
    decisions = await late.decisions()
    assert {decision for decision, _ in decisions.values()} == {"keep"}
    assert decisions[f"job {JOB}"][1] == f"archive {path} needs it"
    report = await late.apply()
    assert not report.clean
    assert f"archive {path} stays: the manifest of archive {path} cannot be read" in report.problems[0]
    assert f"{path}/manifest.json" in await stage.container("diagnostics-acme")


async def test_a_job_that_cannot_be_read_keeps_every_bundle(stage: Stage) -> None:
    await push(stage, "1" * 64)
    await reaped(stage, "q4", JOB)
    await stage.hands.change("results-acme", f"jobs/{JOB}/submitted.json", lambda raw: b"?" * len(raw))
    decisions = await keeper(stage, 31).decisions()
    assert decisions[f"job {JOB}"][0] == "keep"
    assert decisions[f"bundle {'1' * 64}"] == ("keep", f"job {JOB} cannot be read, and may need it")


async def test_a_folder_without_a_manifest_goes_by_its_blobs(stage: Stage) -> None:
    for name, date in (("a", "2026-02-01T00:00:00Z"), ("b", "2031-02-01T00:00:00Z")):
        path = f"q4/20260101-000000/{name}"
        await stage.blobs.write("diagnostics-acme", path, b"", metadata={RETAIN_UNTIL: date})
    await stage.blobs.write("diagnostics-acme", "q4/20260101-000000-2/undated", b"")
    await stage.blobs.write("diagnostics-acme", "q4/notes", b"of nobody")
    decisions = await keeper(stage, 365).decisions()
    assert decisions["archive q4/20260101-000000"][0] == "keep"
    assert decisions["archive q4/20260101-000000-2"] == ("delete", "kept until 2026-01-31, and it has no manifest")
    report = await keeper(stage, 365).apply()
    assert report.clean
    assert set(await stage.container("diagnostics-acme")) == {
        "q4/20260101-000000/a",
        "q4/20260101-000000/b",
        "q4/notes",
    }


async def test_what_the_store_protects_is_not_attempted(stage: Stage) -> None:
    await push(stage)
    await reaped(stage, "held", JOB)
    await reaped(stage, "locked")
    attempts: list[str] = []

    class Protecting:
        def __getattr__(self, name: str) -> Any:
            return getattr(stage.blobs, name)

        async def list_blobs(self, container: str, prefix: str = "", *, after: str = "") -> Any:
            async for info in stage.blobs.list_blobs(container, prefix, after=after):
                yield _protected(info)

        async def delete(self, container: str, name: str) -> None:
            attempts.append(name)
            await stage.blobs.delete(container, name)

    late = keeper(stage, 31, blobs=Protecting())  # type: ignore[arg-type]  (it passes everything on)
    decisions = await late.decisions()
    reasons = {what.partition("/")[0]: reason for what, (_, reason) in decisions.items()}
    assert reasons["archive held"] == "the store has a legal hold on it"
    assert reasons["archive locked"] == "the store has locked it until 2999-01-01"
    assert (await late.apply()).clean
    assert attempts == []


def _protected(info: BlobInfo) -> BlobInfo:
    if info.name.startswith("held/") and info.name.endswith("pods.json"):
        return msgspec.structs.replace(info, legal_hold=True)
    if info.name.startswith("locked/") and info.name.endswith("pods.json"):
        return msgspec.structs.replace(info, locked_until=parse_timestamp("2999-01-01T00:00:00Z"))
    return info


async def test_what_cannot_be_audited_does_not_go(stage: Stage) -> None:
    await push(stage)
    await reaped(stage, "q4", JOB)
    before = await everything(stage.blobs)
    broken = Broken(
        lambda: Unavailable("disk full"), lambda name, args: name == "write" and str(args[0]).startswith("audit-")
    )
    report = await keeper(stage, 31, blobs=broken.wrap(stage.blobs)).apply()
    assert [outcome.result for outcome in report.outcomes] == ["failed", "waiting", "waiting"]
    assert "is not deleted, because its audit record cannot be written: disk full" in report.outcomes[0].message
    assert await everything(stage.blobs) == before
    assert (await keeper(stage, 31).apply()).count("deleted") == 3


async def test_a_deletion_that_fails_is_done_by_the_next_run_under_its_own_record(stage: Stage) -> None:
    await push(stage)
    await reaped(stage, "q4", JOB)
    broken = Broken(
        lambda: Unavailable("it is slow"), lambda name, args: name == "delete" and str(args[1]).endswith("events.json")
    )
    report = await keeper(stage, 31, blobs=broken.wrap(stage.blobs)).apply()
    assert [outcome.result for outcome in report.outcomes] == ["failed", "waiting", "waiting"]
    left = await everything(stage.blobs)
    assert not any(name.endswith("manifest.json") for name in left["diagnostics-acme"]), "it goes first"
    assert set(left["bundles-acme"]) == {BUNDLE}
    assert [(phase, result) for phase, result, _ in await audited(stage)] == [("intent", None)]
    soon = await keeper(stage, 31).apply()
    assert [outcome.result for outcome in soon.outcomes] == ["elsewhere", "waiting", "waiting"], "who failed may live"
    assert (await keeper(stage, 31.1).apply()).count("deleted") == 3
    assert await everything(stage.blobs) == {}
    assert [(phase, result) for phase, result, _ in await audited(stage)] == [("intent", None), ("outcome", "ok")] * 3


async def test_a_bundle_that_was_submitted_again_meanwhile_stays(stage: Stage) -> None:
    await push(stage)
    late = keeper(stage, 31)
    plan = await late.plan()
    assert [entry.seen.target.name for entry in plan.due] == [BUNDLE]
    record = await stage.namespace("again")
    await stage.job(record, new_job_id(plan.now, 7), "true")
    report = await late.curator.apply(plan)
    assert [outcome.result for outcome in report.outcomes] == ["kept"]
    assert set((await everything(stage.blobs))["bundles-acme"]) == {BUNDLE}
    assert await audited(stage) == []
    await stage.ended(record.name)


async def test_two_runs_at_once_delete_once(stage: Stage) -> None:
    await push(stage)
    await reaped(stage, "q4", JOB)
    one, other = keeper(stage, 31, holder="one"), keeper(stage, 31, holder="other")
    plan = await other.plan()
    overtaken: list[str] = []

    async def overtake(name: str, args: tuple[Any, ...]) -> None:
        if name == "delete" and not overtaken:
            overtaken.append(str(args[1]))
            report = await other.curator.apply(plan)
            assert [outcome.result for outcome in report.outcomes] == ["elsewhere", "waiting", "waiting"]

    first = keeper(stage, 31, holder="one", blobs=tap(stage.blobs, pause=overtake))
    assert (await first.apply()).count("deleted") == 3
    assert overtaken
    assert len(await audited(stage)) == 6
    assert (await one.apply()).outcomes == ()


async def test_other_tenants_are_not_in_the_way(stage: Stage) -> None:
    await push(stage)
    await reaped(stage, "q4", JOB)
    broken = Broken(lambda: Unavailable("gone"), lambda name, args: name == "list_blobs" and args[0] == "results-bad")
    await stage.blobs.write("results-bad", "buckets/b/j-000000000009", b"")
    report = await keeper(stage, 31, blobs=broken.wrap(stage.blobs)).apply()
    assert report.count("deleted") == 3
    assert report.problems == ("tenant bad could not be looked at, so nothing of it is deleted: gone",)
    only = keeper(stage, 31)
    assert [entry.tenant.key for entry in (await only.curator.plan(tenant="bad")).entries] == ["bad"]


async def test_a_tenant_whose_key_is_a_hash_is_known_by_what_is_stored(stage: Stage) -> None:
    strange = Principal(tenant_id="Ünïcode & Co", user_id="ana")
    path = "q4/20260101-000000/events.json"
    metadata = {RETAIN_UNTIL: "2026-02-01T00:00:00Z"}
    await stage.blobs.write(f"diagnostics-{strange.tenant_key}", path, b"[]", metadata=metadata)
    late = keeper(stage, 365)
    report = await late.apply()
    assert report.outcomes == ()
    assert "its deletion cannot be audited" in report.problems[0]

    async with late.audit.operation(principal=strange, operation="submit", request_id="r"):
        pass
    assert (await late.apply()).count("deleted") == 1
    records = await late.audit.read(strange.tenant_id)
    assert [(record.operation, record.phase) for record in records[:2]] == [
        ("retention-delete", "outcome"),
        ("retention-delete", "intent"),
    ]
