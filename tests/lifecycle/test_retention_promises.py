"""Nothing can shorten a retention that was promised: not a clock, not a hand that edits what an archive says."""

from datetime import timedelta

import pytest
from azure.storage.blob.aio import BlobServiceClient
from contracts.blob_adapters import ADAPTERS
from lifecycle.retention_stage import BUNDLE, everything, keeper, push, reaped
from lifecycle.stage import ANA, Stage, utc_now
from lifecycle.taps import Killed, Life

from livecalc.blobs.directory import DirectoryStore
from livecalc.blobs.port import read_all
from livecalc.domain.jobs import new_job_id
from livecalc.domain.retention import Retention
from livecalc.lifecycle.archive.places import RETAIN_UNTIL, kept_until

pytestmark = pytest.mark.anyio
EVERYWHERE = pytest.mark.parametrize("store", ADAPTERS, indirect=True)
JOB = "j-000000000001"
PAST = "2020-01-31T00:00:00Z"
TEN_YEARS = 3650


@EVERYWHERE
async def test_a_clock_that_is_ten_years_ahead_of_the_stores_deletes_nothing(stage: Stage) -> None:
    """Of a local cluster the clock is this machine's, and so agrees with the own one; that of the store does not."""
    await push(stage)
    await reaped(stage, "q4", JOB)
    before = await everything(stage.blobs)
    wrong = keeper(stage, TEN_YEARS, store_ahead=timedelta(0))
    report = await wrong.apply()
    assert [outcome.result for outcome in report.outcomes] == ["failed", "waiting", "waiting"]
    assert "ahead of the blob store's; set it right" in report.outcomes[0].message
    assert await everything(stage.blobs) == before
    assert await stage.audited(operation="retention-delete") == []
    assert {decision for decision, _ in (await keeper(stage, 1).decisions()).values()} == {"keep"}


async def test_a_run_of_ten_years_ahead_that_is_killed_leaves_nothing_that_goes_on(stage: Stage) -> None:
    """Killed at any of its first steps, until something has gone: the next run, on time, lets all stay."""
    await push(stage)
    await reaped(stage, "q4", JOB)
    before = await everything(stage.blobs)
    steps = 0
    for number in range(12, 60):
        life = Life(dies_at=number)
        with pytest.raises((Killed, BaseExceptionGroup)):
            await keeper(stage, TEN_YEARS, blobs=life.wrap(stage.blobs), cluster=life.wrap(stage.cluster)).apply()
        if life.calls[-1] == "delete":
            break
        report = await keeper(stage, 1).apply()
        assert report.clean, (life.calls, report)
        assert report.count("deleted") == 0
        assert await everything(stage.blobs) == before, life.calls
        steps += 1
    assert steps > 5, "it was killed while it had a mark"


@EVERYWHERE
async def test_an_archive_that_says_less_than_its_path_promises_stays(stage: Stage) -> None:
    """Somebody edits the date in the metadata of all blobs and in the manifest."""
    manifest = await reaped(stage, "q4")
    folder = f"q4/{manifest.timestamp}/"
    async for info in stage.blobs.list_blobs("diagnostics-acme", folder):
        body = await read_all(stage.blobs, "diagnostics-acme", info.name)
        await stage.blobs.delete("diagnostics-acme", info.name)
        edited = body.replace(manifest.retain_until.encode(), PAST.encode())
        await stage.blobs.write("diagnostics-acme", info.name, edited, metadata={**info.metadata, RETAIN_UNTIL: PAST})
    assert (await stage.manifest("q4")).retain_until == PAST
    assert (await keeper(stage, 29).apply()).outcomes == ()
    assert (await keeper(stage, 31).apply()).count("deleted") == 1


@pytest.mark.parametrize("store", ["azure"], indirect=True)
async def test_a_tag_is_for_people_and_decides_nothing(stage: Stage, azurite: str) -> None:
    """An index tag can be changed by whoever may write tags; the metadata is what counts."""
    manifest = await reaped(stage, "q4")
    names = [info.name async for info in stage.blobs.list_blobs("diagnostics-acme", "q4/")]
    async with BlobServiceClient.from_connection_string(azurite) as service:
        for name in names:
            blob = service.get_blob_client(f"{stage.box}-diagnostics-acme", name)
            assert (await blob.get_blob_tags())[RETAIN_UNTIL] == manifest.retain_until
            await blob.set_blob_tags({RETAIN_UNTIL: PAST})
    assert (await keeper(stage, 29).apply()).outcomes == ()
    assert (await stage.diagnostics.list_archives(ANA))[0].timestamp == manifest.timestamp


@EVERYWHERE
async def test_what_lies_on_the_regulatory_shelf_stays_for_seven_years_whatever_it_says(stage: Stage) -> None:
    await push(stage)
    manifest = await reaped(stage, "q4", JOB)
    if isinstance(stage.blobs, DirectoryStore):
        (stage.root / "blobs" / "regulatory-acme").mkdir()  # an operator makes such containers
    moves = {"diagnostics-acme": "archives/", "results-acme": "results/", "bundles-acme": "bundles/"}
    for container, start in moves.items():
        infos = [info async for info in stage.blobs.list_blobs(container)]
        for info in (each for each in infos if not each.name.startswith(("_index/", "keys/"))):
            body = await read_all(stage.blobs, container, info.name)
            await stage.blobs.write("regulatory-acme", start + info.name, body, metadata=info.metadata)
            await stage.blobs.delete(container, info.name)
    assert manifest.retention == Retention.STANDARD
    plan = await keeper(stage, 400).plan()
    assert plan.due == []
    assert len(plan.entries) == 3
    [archive] = [entry for entry in plan.entries if entry.seen.target.kind == "archive"]
    assert archive.seen.kept_until == kept_until(f"q4/{manifest.timestamp}", Retention.REGULATORY)
    assert (await keeper(stage, 7 * 364).apply()).outcomes == ()
    assert (await keeper(stage, 7 * 366).apply()).count("deleted") == 3


async def test_a_bundle_that_a_kept_archive_names_stays_without_the_jobs_records(stage: Stage) -> None:
    await push(stage)
    manifest = await reaped(stage, "q4", new_job_id(utc_now(), 1))
    for prefix in ("jobs/", "buckets/", "keys/"):
        async for info in stage.blobs.list_blobs("results-acme", prefix):
            await stage.blobs.delete("results-acme", info.name)
    path = f"q4/{manifest.timestamp}"
    await stage.blobs.write("diagnostics-acme", f"{path}/more", b"", metadata={RETAIN_UNTIL: "2999-01-01T00:00:00Z"})
    assert (await keeper(stage, 31).decisions())[f"bundle {BUNDLE}"] == ("keep", f"archive {path} needs it")
    assert (await keeper(stage, 31).apply()).outcomes == ()
