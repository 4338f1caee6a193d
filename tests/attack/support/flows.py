"""What victims do: the three flows that are killed at each of their steps, and how a platform is opened for them."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec

from livecalc.blobs.scratch import scratch_folder
from livecalc.bootstrap.service import Adapters, assemble, open_adapters
from livecalc.domain.claims import read_claim
from livecalc.domain.errors import NotFound, Unavailable
from livecalc.domain.tenants import Principal
from livecalc.jobs.service import SubmitRequest
from livecalc.lifecycle.reaper import ReaperPolicy
from livecalc.records.collect import SUBMIT_GRACE
from livecalc.services import Platform
from livecalc.settings import load
from livecalc.wire.mttc import VerifyRequest

ANA = Principal(tenant_id="acme", user_id="ana")
BUCKET = "q4"
BUNDLE = "bundle.zip"
"""The file beside a home that is submitted."""
PATIENT = ReaperPolicy()
HASTY = ReaperPolicy(idle_limit=timedelta(0), claim_timeout=0.3, wait=30.0)
"""Of whoever comes after the killed one, and must not wait a minute for it."""

Wrap = Callable[[Adapters], Adapters]


@asynccontextmanager
async def platform_at(
    home: Path,
    *,
    wrap: Wrap = lambda adapters: adapters,
    policy: ReaperPolicy = PATIENT,
    submit_grace: timedelta = SUBMIT_GRACE,
    settings: Mapping[str, str] | None = None,
) -> AsyncGenerator[Platform, None]:
    """Open the platform of a home, its ports wrapped."""
    loaded = load({"LIVECALC_HOME": str(home), **(settings or {})})
    async with AsyncExitStack() as stack:
        adapters = wrap(await open_adapters(loaded, stack))
        yield assemble(loaded, adapters, policy=policy, submit_grace=submit_grace)


async def reap(platform: Platform, home: Path) -> None:
    """One sweep over a home with a finalized bucket."""
    del home
    report = await platform.reaper.sweep()
    assert report.clean, report


async def reap_one(platform: Platform, namespace: str) -> None:
    """Reap a namespace, or go on with its reaping."""
    try:
        record = await platform.cluster.get_namespace(namespace)
    except NotFound:
        return
    if read_claim(record) is None:
        outcome = await platform.reaper.reap_one(record, reason="attack")
    else:
        outcome = await platform.reaper.resume_one(record)
    assert outcome is None or outcome.success, outcome


async def submit(platform: Platform, home: Path) -> None:
    """Push the bundle that lies beside the home, and submit it."""
    pushed = await platform.bundles.push(ANA.tenant_key, home.parent / BUNDLE)
    request = SubmitRequest(bucket_id=BUCKET, model_bundle_hash=pushed.model_bundle_hash, partitions=1)
    await platform.jobs.submit(ANA, request, request_id="submit")


async def fail_to_submit(platform: Platform, home: Path) -> None:
    """Submit to a cluster that does not take the job."""
    try:
        await submit(platform, home)
    except Unavailable:
        return
    raise AssertionError("the cluster took the job")


async def collect(platform: Platform, home: Path) -> None:
    """Look at the newest job of the bucket, which has ended."""
    del home
    [job] = await platform.jobs.list_jobs(ANA, bucket_id=BUCKET)
    assert job.state == "succeeded"


async def recompute(platform: Platform, home: Path) -> None:
    """Recompute the newest job of the bucket."""
    del home
    [job, *_] = await platform.jobs.list_jobs(ANA, bucket_id=BUCKET)
    request = VerifyRequest(bucket_id=BUCKET, model_bundle_hash=job.model_bundle_hash)
    verified = await platform.recomputer.verify(ANA, request, request_id="recompute")
    assert verified.match, msgspec.json.encode(verified)


async def borrow(platform: Platform, home: Path) -> None:
    """Use a folder for a while, as any process does that reads a result; what killed ones left goes then."""
    del platform, home
    async with scratch_folder():
        pass


FLOWS: dict[str, Callable[[Platform, Path], Awaitable[None]]] = {
    "reap": reap,
    "resume": reap,
    "submit": submit,
    "failing submit": fail_to_submit,
    "collect": collect,
    "recompute": recompute,
    "borrow": borrow,
}
AIMED: dict[str, Callable[[Platform, str], Awaitable[None]]] = {"reap one": reap_one}
"""Those of which many go on in one home, each with a target of its own."""
