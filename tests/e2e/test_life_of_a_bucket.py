"""The whole life of a bucket through the services, on the embedded adapters: real processes, real files."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import blobstore
import pytest

from livecalc.bootstrap.service import open_platform
from livecalc.bundles.examples import find_example
from livecalc.bundles.pack import pack
from livecalc.domain.errors import NotFound
from livecalc.domain.tenants import Principal
from livecalc.jobs.service import SubmitRequest
from livecalc.services import Platform
from livecalc.settings import load
from livecalc.wire.mttc import VerifyRequest

pytestmark = pytest.mark.anyio
ANA = Principal(tenant_id="acme", user_id="ana")
BOB = Principal(tenant_id="other", user_id="bob")


@pytest.fixture(params=["directory", "azure"])
def store(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings of a store with nothing in it."""
    if request.param == "directory":
        yield {}
        return
    with blobstore.azurite() as connection_string:
        yield {"AZURE_BLOB_CONNECTION_STRING": connection_string}


@pytest.fixture
async def platform(store: dict[str, str], tmp_path: Path) -> AsyncIterator[Platform]:
    async with open_platform(load({"LIVECALC_HOME": str(tmp_path / "home"), **store})) as opened:
        yield opened
    assert (tmp_path / "home/blobs").exists() == (not store)


async def test_a_bucket_lives_and_leaves_only_what_recomputes_it(platform: Platform, tmp_path: Path) -> None:
    packed = pack(find_example("term-life"), tmp_path / "bundle.zip", scenarios=80)
    pushed = await platform.bundles.push(ANA.tenant_key, packed.path)
    assert pushed.model_bundle_hash == packed.model_bundle_hash

    request = SubmitRequest(bucket_id="q4", model_bundle_hash=packed.model_bundle_hash, partitions=2)
    submitted = await platform.jobs.submit(ANA, request, request_id="r1")
    seen = [job async for job in platform.jobs.events(ANA, submitted.job_id)]
    assert seen[-1].state == "succeeded", seen[-1].error
    assert seen[-1].scenarios.done == 80

    result = await platform.jobs.result(ANA, submitted.job_id)
    assert [output.output for output in result.outputs] == ["npv"]
    arrays = await platform.jobs.arrays(ANA, submitted.job_id)
    assert arrays["npv"].shape == (80,)

    await platform.namespaces.finalize_namespace(ANA, submitted.namespace, force=False, request_id="r2")
    report = await platform.reaper.sweep()
    assert (report.successful, report.failed) == (1, 0)
    with pytest.raises(NotFound):
        await platform.cluster.get_namespace(submitted.namespace)

    [archive] = await platform.diagnostics.list_archives(ANA, "q4")
    assert archive.state == "Complete"
    checked = await platform.diagnostics.verify(ANA, archive.bucket_id, archive.timestamp)
    assert checked.holds, checked.differences

    verified = await platform.recomputer.verify(
        ANA, VerifyRequest(bucket_id="q4", model_bundle_hash=packed.model_bundle_hash), request_id="r3"
    )
    assert verified.match, verified
    assert verified.success
    assert verified.resumed_result_hash == result.result_hash
    assert [phase.name for phase in verified.phases] == [
        "create namespace",
        "load bundle",
        "initialize",
        "execute",
        "compare",
        "clean up",
    ]
    assert not (await platform.cluster.list_namespaces({})).items

    job = await platform.jobs.get(ANA, submitted.job_id)
    assert job.archive == f"q4/{archive.timestamp}"
    assert [entry.match for entry in job.recomputations] == [True]
    log = b"".join([chunk async for chunk in platform.jobs.logs(ANA, submitted.job_id)])
    assert log

    chain = await platform.audit.verify(ANA.tenant_id)
    assert chain.holds, chain.reason
    with pytest.raises(NotFound):
        await platform.jobs.get(BOB, submitted.job_id)
