"""Data that is kept for seven years: where it lies, that it is locked, and that without proof nothing is made."""

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from azure.storage.blob.aio import BlobServiceClient
from contracts.blob_adapters import ADAPTERS
from lifecycle.stage import submitted_record
from support.platforms import STEADY, pack_model, platform_at
from support.protecting import Protecting, protecting

from livecalc.domain.errors import Damaged, InvalidInput, Unavailable
from livecalc.domain.retention import Retention, retain_until
from livecalc.domain.tenants import Principal
from livecalc.domain.timestamps import parse_timestamp
from livecalc.jobs.service import SubmitRequest
from livecalc.lifecycle.archive.manifest import Manifest
from livecalc.lifecycle.outcome import SweepReport
from livecalc.records.book import JobBook
from livecalc.services import Platform
from livecalc.wire.jobs import Job
from livecalc.wire.mttc import VerifyRequest

pytestmark = pytest.mark.anyio


@pytest.fixture
def ana() -> Principal:
    """A tenant of the test's own: all share one blob store."""
    return Principal(tenant_id=f"acme-{uuid4().hex[:8]}", user_id="ana")


@pytest.fixture
def container(ana: Principal) -> str:
    return f"regulatory-{ana.tenant_key}"


@pytest.fixture
async def proxy(azurite: str, container: str) -> AsyncGenerator[Protecting]:
    """A store that protects, with the container that an operator made."""
    async with BlobServiceClient.from_connection_string(azurite) as service:
        await service.get_container_client(container).create_container()
    with protecting(azurite) as opened:
        opened.provisioned.add(container)
        yield opened


@pytest.fixture
async def platform(proxy: Protecting, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path / "home", AZURE_BLOB_CONNECTION_STRING=proxy.connection_string) as opened:
        yield opened


class Desk:
    """What Ana does in the bucket `q4` of a platform."""

    def __init__(self, platform: Platform, ana: Principal, folder: Path) -> None:
        self.platform = platform
        self.ana = ana
        self.folder = folder
        self.container = f"regulatory-{ana.tenant_key}"

    async def push(self, code: str = STEADY) -> str:
        path = pack_model(self.folder / "model", code)
        return (await self.platform.bundles.push(self.ana.tenant_key, path)).model_bundle_hash

    async def run(self, bundle: str, **options: Any) -> Job:
        """Run a bundle under regulatory retention, to its end."""
        request = SubmitRequest(
            bucket_id="q4", model_bundle_hash=bundle, retention=Retention.REGULATORY, partitions=2, **options
        )
        submitted = await self.platform.jobs.submit(self.ana, request, request_id="submit")
        jobs = [job async for job in self.platform.jobs.events(self.ana, submitted.job_id)]
        return jobs[-1]

    async def sweep(self) -> SweepReport:
        """Finalize the bucket and reap it."""
        await self.platform.namespaces.finalize_namespace(
            self.ana, "livecalc-bucket-q4", force=False, request_id="finalize"
        )
        return await self.platform.reaper.sweep()

    async def manifest(self) -> Manifest:
        """Of the only archive."""
        [archive] = await self.platform.diagnostics.list_archives(self.ana, "q4")
        raw = await self.platform.diagnostics.manifest(self.ana, "q4", archive.timestamp)
        return msgspec.json.decode(raw, type=Manifest)

    async def locks(self, prefix: str = "") -> dict[str, datetime | None]:
        """The locks of the blobs of the regulatory container, without what proved that it protects."""
        listing = self.platform.blobs.list_blobs(self.container, prefix)
        return {info.name: info.locked_until async for info in listing if not info.name.startswith("protection/")}

    async def names(self, container: str) -> list[str]:
        return [info.name async for info in self.platform.blobs.list_blobs(f"{container}-{self.ana.tenant_key}")]


@pytest.fixture
def desk(platform: Platform, ana: Principal, tmp_path: Path) -> Desk:
    return Desk(platform, ana, tmp_path)


async def test_what_is_stored_of_a_job_is_locked_when_it_has_ended(desk: Desk, proxy: Protecting) -> None:
    began = await desk.platform.cluster.now()
    bundle = await desk.push()
    job = await desk.run(bundle)
    assert job.state == "succeeded"

    locks = await desk.locks()
    parts = {name for name in locks if name.startswith(f"results/jobs/{job.job_id}/partitions/")}
    logs = {name for name in locks if name.startswith(f"results/jobs/{job.job_id}/logs/")}
    assert (len(parts), len(logs)) == (2, 2)
    records = {f"results/jobs/{job.job_id}/{name}.json" for name in ("submitted", "finished")}
    assert locks.keys() == {f"bundles/{bundle}", f"results/buckets/q4/{job.job_id}"} | records | parts | logs
    least = retain_until(Retention.REGULATORY, began)
    assert [name for name, until in locks.items() if until is None or until < least] == []
    # What is temporary is nowhere any more, and no other container was asked to lock.
    assert await desk.names("results") == []
    assert {each.path.partition("/")[0] for each in proxy.asked()} == {desk.container}


async def test_the_whole_life_of_a_regulatory_bucket(desk: Desk, proxy: Protecting) -> None:
    bundle = await desk.push()
    job = await desk.run(bundle, name="quarter")
    report = await desk.sweep()
    assert (report.successful, report.failed) == (1, 0)

    manifest = await desk.manifest()
    until = parse_timestamp(manifest.retain_until)
    assert until is not None
    assert (manifest.state, manifest.retention) == ("Complete", "regulatory")
    assert manifest.retain_until[4:] == manifest.claimed_at[4:]
    folder = f"archives/q4/{manifest.timestamp}/"
    archived = await desk.locks(folder)
    assert archived.keys() == {folder + name for name in ["manifest.json", *(blob.name for blob in manifest.blobs)]}
    assert set(archived.values()) == {until}
    # What recomputing needs is protected as long as the archive, and nothing of it lies elsewhere.
    rest = await desk.locks()
    assert [name for name, lock in rest.items() if lock is None or lock < until] == []
    assert await desk.names("diagnostics") == await desk.names("results") == []
    assert (await desk.platform.diagnostics.verify(desk.ana, "q4", manifest.timestamp)).holds

    # From here on the regulatory container alone is left.
    await desk.platform.blobs.delete(f"bundles-{desk.ana.tenant_key}", bundle)
    seen = await desk.platform.jobs.get(desk.ana, job.job_id)
    assert (seen.state, seen.archive, seen.kept_until) == ("succeeded", manifest_path(manifest), manifest.retain_until)
    assert [each.job_id for each in await desk.platform.jobs.list_jobs(desk.ana)] == [job.job_id]
    assert [each.job_id for each in await desk.platform.jobs.list_jobs(desk.ana, bucket_id="q4")] == [job.job_id]
    assert (await desk.platform.jobs.result(desk.ana, job.job_id)).result_hash == job.result_hash
    printed = b"".join([chunk async for chunk in desk.platform.jobs.logs(desk.ana, job.job_id)])
    assert b"computing 0" in printed
    verified = await desk.platform.recomputer.verify(
        desk.ana, VerifyRequest(bucket_id="q4", model_bundle_hash=bundle[:12]), request_id="verify"
    )
    assert (verified.match, verified.resumed_result_hash) == (True, job.result_hash)
    assert len((await desk.platform.jobs.get(desk.ana, job.job_id)).recomputations) == 1
    assert await desk.names("results") == []
    assert [each for each in proxy.seen if each.method == "DELETE" and each.path in proxy.locks] == []


def manifest_path(manifest: Manifest) -> str:
    return f"{manifest.bucket_id}/{manifest.timestamp}"


async def test_a_damaged_bundle_is_not_locked_in(desk: Desk, azurite: str) -> None:
    bundle = await desk.push()
    async with BlobServiceClient.from_connection_string(azurite) as service:
        blob = service.get_blob_client(f"bundles-{desk.ana.tenant_key}", bundle)
        await blob.upload_blob(b"something else", overwrite=True)
    with pytest.raises(Damaged, match=f"the stored bundle {bundle} is damaged"):
        await desk.run(bundle)
    assert await desk.locks() == {}


async def test_a_bundle_is_locked_for_the_submit_that_came_last(desk: Desk, proxy: Protecting) -> None:
    bundle = await desk.push()
    await desk.run(bundle)
    path = f"{desk.container}/bundles/{bundle}"
    proxy.locks[path] = "Mon, 26 Nov 2029 00:00:00 GMT"
    began = await desk.platform.cluster.now()
    await desk.run(bundle)
    [lock] = (await desk.locks("bundles/")).values()
    assert lock is not None
    assert lock >= retain_until(Retention.REGULATORY, began)


async def test_a_failed_job_is_kept_as_well(desk: Desk) -> None:
    job = await desk.run(await desk.push("def main(block, /):\n    raise ValueError('no')\n"))
    assert job.state == "failed"
    assert None not in (await desk.locks()).values()


async def test_a_key_that_is_used_again_leaves_one_job(desk: Desk) -> None:
    bundle = await desk.push()
    jobs = [await desk.run(bundle, submit_key="once") for _ in range(2)]
    assert jobs[0] == jobs[1]
    assert list(await desk.locks("results/buckets/")) == [f"results/buckets/q4/{jobs[0].job_id}"]


async def test_a_submit_that_comes_to_nothing_leaves_nothing(desk: Desk) -> None:
    """Nothing of a job is locked before it has ended."""
    bundle = await desk.push()
    await desk.platform.namespaces.create_namespace(desk.ana, "q4", retention=Retention.REGULATORY, request_id="create")
    book = JobBook(desk.platform.blobs)
    namespace = await desk.platform.cluster.get_namespace("livecalc-bucket-q4")
    record = msgspec.structs.replace(
        submitted_record(namespace, "j-01jdx4m8k3q7"),
        retention=Retention.REGULATORY,
        model_bundle_hash=bundle,
        tenant_id=desk.ana.tenant_id,
    )
    await book.open_job(desk.ana.tenant_key, record)
    assert (await desk.locks("results/")).keys() == {
        "results/buckets/q4/j-01jdx4m8k3q7",
        "results/jobs/j-01jdx4m8k3q7/submitted.json",
    }
    await book.forget_job(desk.ana.tenant_key, record)
    assert await desk.locks("results/") == {}


async def test_an_ended_job_cannot_be_forgotten(desk: Desk) -> None:
    job = await desk.run(await desk.push())
    before = await desk.locks()
    book = JobBook(desk.platform.blobs)
    await book.forget_job(desk.ana.tenant_key, await book.submitted(desk.ana.tenant_key, job.job_id))
    assert await desk.locks() == before


async def test_a_namespace_stays_while_a_blob_of_its_archive_is_not_locked(desk: Desk, proxy: Protecting) -> None:
    await desk.run(await desk.push())
    proxy.forgets = lambda path: path.endswith("/events.json")
    report = await desk.sweep()
    [outcome] = report.outcomes
    assert (report.successful, report.failed) == (0, 1)
    assert "events.json is not locked until" in outcome.message
    assert not (await desk.platform.cluster.get_namespace("livecalc-bucket-q4")).terminating
    assert (await desk.platform.reaper.sweep()).failed == 1

    proxy.forgets = lambda _: False
    manifest = await desk.manifest()
    until = parse_timestamp(manifest.retain_until)
    assert until is not None
    await desk.platform.blobs.lock(desk.container, f"archives/{manifest_path(manifest)}/events.json", until)
    assert (await desk.platform.reaper.sweep()).successful == 1
    assert await desk.manifest() == manifest


@pytest.mark.parametrize("edited", ["standard", None])
async def test_nobody_shortens_a_promise_by_an_edit_of_the_namespace(desk: Desk, edited: str | None) -> None:
    job = await desk.run(await desk.push())
    cluster = desk.platform.cluster
    record = await cluster.get_namespace("livecalc-bucket-q4")
    await cluster.patch_namespace(record, annotations={"retention": edited})
    report = await desk.sweep()
    [outcome] = report.outcomes
    assert (report.successful, report.failed) == (0, 1)
    assert f"job {job.job_id} was promised regulatory retention" in outcome.message
    assert await desk.names("diagnostics") == []

    record = await cluster.get_namespace("livecalc-bucket-q4")
    assert not record.terminating
    await cluster.patch_namespace(record, annotations={"retention": "regulatory"}, any_version=True)
    assert (await desk.platform.reaper.sweep()).successful == 1
    assert (await desk.manifest()).retention == "regulatory"


async def test_nor_when_the_record_of_the_job_cannot_be_read(desk: Desk, azurite: str) -> None:
    job = await desk.run(await desk.push())
    record = await desk.platform.cluster.get_namespace("livecalc-bucket-q4")
    await desk.platform.cluster.patch_namespace(record, annotations={"retention": "standard"})
    async with BlobServiceClient.from_connection_string(azurite) as service:
        blob = service.get_blob_client(desk.container, f"results/jobs/{job.job_id}/submitted.json")
        await blob.upload_blob(b"something else", overwrite=True)
    [outcome] = (await desk.sweep()).outcomes
    assert f"job {job.job_id} was promised regulatory retention" in outcome.message
    assert await desk.names("diagnostics") == []


async def test_a_lock_that_is_missing_or_too_short_is_a_difference(desk: Desk, proxy: Protecting) -> None:
    await desk.run(await desk.push())
    assert (await desk.sweep()).successful == 1
    manifest = await desk.manifest()

    async def differences() -> list[str]:
        return (await desk.platform.diagnostics.verify(desk.ana, "q4", manifest.timestamp)).differences

    assert await differences() == []
    folder = f"{desk.container}/archives/{manifest_path(manifest)}"
    del proxy.locks[f"{folder}/pods.json"]
    proxy.locks[f"{folder}/manifest.json"] = "Mon, 26 Nov 2029 00:00:00 GMT"
    assert await differences() == [
        f"manifest.json is locked until 2029-11-26T00:00:00Z, and not until {manifest.retain_until}",
        f"pods.json is not locked: whoever has the right can delete it before {manifest.retain_until}",
    ]
    # A policy that can be taken back protects nothing.
    proxy.mode = "unlocked"
    assert len(await differences()) == len(manifest.blobs) + 1


async def test_a_namespace_stays_while_a_result_of_it_is_not_locked(desk: Desk, proxy: Protecting) -> None:
    job = await desk.run(await desk.push())
    proxy.forgets = lambda path: "/partitions/" in path
    for path in [path for path in proxy.locks if "/partitions/" in path]:
        del proxy.locks[path]
    report = await desk.sweep()
    [outcome] = report.outcomes
    assert "does not keep it" in outcome.message
    assert f"results/jobs/{job.job_id}/partitions/" in outcome.message
    assert not (await desk.platform.cluster.get_namespace("livecalc-bucket-q4")).terminating

    proxy.forgets = lambda _: False
    assert (await desk.platform.reaper.sweep()).successful == 1
    assert None not in (await desk.locks()).values()


async def test_a_job_is_not_recorded_as_ended_before_its_results_are_locked(desk: Desk, proxy: Protecting) -> None:
    bundle = await desk.push()
    proxy.forgets = lambda path: "/partitions/" in path
    with pytest.raises(Unavailable, match="does not keep it"):
        await desk.run(bundle)
    assert [name for name in await desk.locks() if name.endswith("/finished.json")] == []
    proxy.forgets = lambda _: False
    [job] = await desk.platform.jobs.list_jobs(desk.ana)
    assert job.state == "succeeded"
    assert None not in (await desk.locks()).values()


class TestRefused:
    """Before the namespace is made, so that nothing is."""

    async def submit(self, platform: Platform, ana: Principal, folder: Path) -> str:
        desk = Desk(platform, ana, folder)
        bundle = await desk.push()
        with pytest.raises(InvalidInput, match=r"^retention=regulatory cannot be had here: ") as refused:
            await desk.run(bundle)
        assert (await platform.cluster.list_namespaces({})).items == ()
        assert await desk.locks() == {}
        assert await desk.names("results") == []
        return refused.value.detail

    async def test_by_a_folder(self, ana: Principal, tmp_path: Path) -> None:
        async with platform_at(tmp_path / "home") as platform:
            assert "a folder cannot protect anything" in await self.submit(platform, ana, tmp_path)

    async def test_by_azurite(self, azurite: str, ana: Principal, tmp_path: Path) -> None:
        async with platform_at(tmp_path / "home", AZURE_BLOB_CONNECTION_STRING=azurite) as platform:
            why = await self.submit(platform, ana, tmp_path)
            assert "is Azurite, which takes locks and keeps none: use a storage account of Azure" in why
            assert "az " not in why
            assert await platform.blobs.list_containers(f"regulatory-{ana.tenant_key}") == []
            async with BlobServiceClient.from_connection_string(azurite) as service:
                await service.get_container_client(f"regulatory-{ana.tenant_key}").create_container()
            assert await self.submit(platform, ana, tmp_path) == why

    @pytest.mark.parametrize("adapter", ADAPTERS)
    async def test_it_is_on_the_record(
        self, adapter: str, request: pytest.FixtureRequest, ana: Principal, tmp_path: Path
    ) -> None:
        azure = {"AZURE_BLOB_CONNECTION_STRING": request.getfixturevalue("azurite")} if adapter == "azure" else {}
        async with platform_at(tmp_path / "home", **azure) as platform:
            with pytest.raises(InvalidInput) as refused:
                await platform.namespaces.create_namespace(
                    ana, "q4", retention=Retention.REGULATORY, request_id="create"
                )
            outcome, intent = await platform.audit.read(ana.tenant_id)
        assert (intent.operation, intent.phase, intent.bucket_id) == ("create-namespace", "intent", "q4")
        assert intent.detail == outcome.detail == {"retention": "regulatory"}
        assert (outcome.phase, outcome.result) == ("outcome", refused.value.detail)

    async def test_by_a_store_whose_policies_can_be_taken_back(
        self, platform: Platform, proxy: Protecting, ana: Principal, tmp_path: Path
    ) -> None:
        proxy.mode = "unlocked"
        assert "does not keep it, so it protects nothing" in await self.submit(platform, ana, tmp_path)

    async def test_another_retention_needs_no_proof(
        self, platform: Platform, proxy: Protecting, ana: Principal, tmp_path: Path
    ) -> None:
        bundle = await Desk(platform, ana, tmp_path).push()
        request = SubmitRequest(bucket_id="q3", model_bundle_hash=bundle)
        await platform.jobs.submit(ana, request, request_id="submit")
        assert proxy.asked() == []
