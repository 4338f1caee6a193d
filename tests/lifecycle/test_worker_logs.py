"""Logs of real workers in the archive: whole, whatever became of the model, and cut where it never ends."""

import hashlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from contracts.blob_adapters import ADAPTERS
from support.platforms import platform_at, push_model
from support.processes import processes_with
from support.waiting import eventually

from livecalc.blobs.port import read_all
from livecalc.cluster.port import PodRecord
from livecalc.domain.errors import NotFound
from livecalc.domain.jobs import PROGRESS
from livecalc.domain.tenants import Principal
from livecalc.jobs.service import SubmitRequest
from livecalc.lifecycle.archive.manifest import ContainerLog, Manifest
from livecalc.services import Platform

pytestmark = pytest.mark.anyio
MIB = 1 << 20
ENDLESS = """
def main(block, /):
    while True:
        print("x" * 999)
"""
CRASHING = """
import os

def main(block, /):
    print("about to crash", flush=True)
    os.abort()
"""
WAITING = """
import time

def main(block, /):
    print("begun", flush=True)
    while True:
        time.sleep(0.05)
"""


class Bucket:
    """A tenant of the test's own, and its one job."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.principal = Principal(tenant_id=f"t-{uuid4().hex[:12]}", user_id="ana")
        self.job_id = ""

    async def submit(self, folder: Path, code: str) -> None:
        bundle = await push_model(self.platform, folder, code, principal=self.principal, count=8)
        request = SubmitRequest(bucket_id=self.bucket_id, model_bundle_hash=bundle)
        self.job_id = (await self.platform.jobs.submit(self.principal, request, request_id="submit")).job_id

    @property
    def bucket_id(self) -> str:
        return self.principal.tenant_id

    @property
    def namespace(self) -> str:
        return f"livecalc-bucket-{self.bucket_id}"

    async def pods(self) -> list[PodRecord]:
        return await self.platform.cluster.list_pods(self.namespace)

    async def printed(self) -> bytes:
        printed = b""
        for pod in await self.pods():
            with suppress(NotFound):
                printed += b"".join([each async for each in self.platform.cluster.read_log(self.namespace, pod.name)])
        return printed

    async def ended(self) -> None:
        async def done() -> bool:
            return (await self.platform.jobs.get(self.principal, self.job_id)).state in {"succeeded", "failed"}

        await eventually(done, within=60)

    async def reaped(self) -> Manifest:
        """Reap by force, which cancels what runs."""
        answer = await self.platform.namespaces.reap_namespace(
            self.principal, self.namespace, bucket_id=self.bucket_id, force=True, request_id="reap"
        )
        assert answer.success, answer.message
        [archive] = await self.platform.diagnostics.list_archives(self.principal, self.bucket_id)
        raw = await self.platform.diagnostics.manifest(self.principal, self.bucket_id, archive.timestamp)
        return msgspec.json.decode(raw, type=Manifest)

    async def content(self, manifest: Manifest, log: ContainerLog) -> bytes:
        path = f"{self.bucket_id}/{manifest.timestamp}/{log.blob}"
        content = await read_all(self.platform.blobs, f"diagnostics-{self.principal.tenant_key}", path)
        assert (log.bytes, log.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        return content


@pytest.fixture(params=ADAPTERS)
async def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bucket]:
    settings = {"LOG_LIMIT_MIB": "1"}
    if request.param == "azure":
        settings["AZURE_BLOB_CONNECTION_STRING"] = str(request.getfixturevalue("azurite"))
    async with platform_at(tmp_path / "home", **settings) as platform:
        yield Bucket(platform)


async def test_a_model_that_prints_without_end_is_cut_and_the_last_line_says_it(bucket: Bucket, tmp_path: Path) -> None:
    await bucket.submit(tmp_path / "m", ENDLESS)

    async def is_cut() -> bool:
        return b"the log is cut here" in await bucket.printed()

    await eventually(is_cut, within=60)
    manifest = await bucket.reaped()
    [log] = manifest.containers
    assert (log.state, log.source, log.exit_code) == ("truncated", "worker", 143)
    assert log.note.startswith("printed more than LOG_LIMIT_MIB; the rest was not kept")
    lines = (await bucket.content(manifest, log)).decode().splitlines()
    assert "livecalc: the log is cut here, at its limit of 1,048,576 bytes; the model goes on" in lines
    assert lines[-1].startswith("livecalc: the log was cut: the model printed ")
    assert lines[-1].endswith(" bytes, the first 1,048,576 are kept")
    assert MIB < log.bytes < MIB + 1000


async def test_sigterm_keeps_the_whole_log(bucket: Bucket, tmp_path: Path) -> None:
    await bucket.submit(tmp_path / "m", WAITING)

    async def begun() -> bool:
        return b"begun" in await bucket.printed() and all(PROGRESS in pod.annotations for pod in await bucket.pods())

    await eventually(begun, within=60)
    manifest = await bucket.reaped()
    [log] = manifest.containers
    assert (log.state, log.source, log.exit_code) == ("complete", "worker", 143)
    text = (await bucket.content(manifest, log)).decode()
    assert "begun\nlivecalc: interrupted after " in text


async def test_what_a_killed_worker_could_not_store_comes_from_the_cluster_and_says_so(
    bucket: Bucket, tmp_path: Path
) -> None:
    await bucket.submit(tmp_path / "m", WAITING)

    async def begun() -> list[PodRecord]:
        return await bucket.pods() if b"begun" in await bucket.printed() else []

    [killed] = await eventually(begun, within=60)
    for pid in processes_with(killed.uid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    async def ended() -> bool:
        return any(pod.uid == killed.uid and not pod.alive for pod in await bucket.pods())

    await eventually(ended, within=60)
    manifest = await bucket.reaped()
    [log] = [log for pod in manifest.pods if pod.uid == killed.uid for log in pod.containers]
    assert (log.state, log.source, log.exit_code) == ("unknown", "node", 137)
    assert log.note.startswith("its worker ended without storing its log, so this is what its node still had: ")
    assert b"begun\n" in await bucket.content(manifest, log)
    assert manifest.state == "PartiallyComplete"


async def test_a_model_that_crashes_leaves_its_whole_log(bucket: Bucket, tmp_path: Path) -> None:
    await bucket.submit(tmp_path / "m", CRASHING)
    await bucket.ended()
    manifest = await bucket.reaped()
    assert manifest.containers
    for log in manifest.containers:
        assert (log.state, log.source) == ("complete", "worker"), log
        assert b"about to crash" in await bucket.content(manifest, log)
    assert manifest.state == "Complete"
