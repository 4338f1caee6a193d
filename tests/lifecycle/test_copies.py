"""Logs that workers stored of their own: each is in the archive once, whether or not a pod is there to state it."""

import hashlib
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec
import pytest
from contracts.blob_adapters import ADAPTERS, open_grants
from lifecycle.composed import Composed
from lifecycle.stage import ANA, POLICY, Stage, utc_now
from lifecycle.taps import Broken
from lifecycle.test_accounts import accounts, only, reaped, said
from lifecycle.test_logs import LARGE, PRINT_LARGE, ending, stated

from livecalc.blobs.port import Verb
from livecalc.domain.errors import Unavailable
from livecalc.domain.tasks import Statement
from livecalc.records import paths

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]
JOB = "j-apex00000000"
FIRST, SECOND = b"the first try\n", b"another try\n"
PRINT_SECOND = "echo another try"
UNKNOWN = (
    "which of its partition's pods stored it is not known: none that is there says so; "
    "nothing states how much it printed"
)


class Forgetful(Composed):
    """A cluster whose events about pods are too old to be there."""

    async def list_events(self, namespace: str) -> list[Any]:
        return [each for each in await self.cluster.list_events(namespace) if not each.object.startswith("Pod/")]


def forgetful(stage: Stage, *hidden: str) -> Stage:
    return stage.with_parts(cluster=Forgetful(stage.cluster, hidden=frozenset(hidden)).port())


async def run(stage: Stage, script: str, state: Statement | None, copies: dict[int, bytes]) -> str:
    """Run a job of one partition whose workers stored such copies, through their grants; returns its pod."""
    record = await stage.namespace("b")
    for attempt, content in copies.items():
        await store(stage, attempt, content)
    await stage.job(record, JOB, ending(script, state))
    [pod] = await stage.ended(record.name)
    return pod.name


async def store(stage: Stage, attempt: int, content: bytes) -> None:
    name = paths.log(JOB, 0, attempt, "nonce")
    url = await stage.blobs.grant(
        "results-acme", name, Verb.CREATE, expires_at=utc_now().replace(year=2099), limit=1 << 20
    )
    source = Path(stage.root, f"log-{attempt}")
    await anyio.to_thread.run_sync(source.write_bytes, content)
    digest = hashlib.sha256(content).hexdigest()
    grants = open_grants("azure" if url.startswith("http") else "directory")
    await anyio.to_thread.run_sync(lambda: grants.create(url, source, sha256=digest))


async def test_a_log_of_a_pod_that_is_gone_is_archived_beside_that_of_a_later_try(stage: Stage) -> None:
    pod = await run(stage, PRINT_SECOND, stated(SECOND, attempt=1), {0: FIRST, 1: SECOND})
    manifest = await reaped(forgetful(stage))
    assert [(each.name, each.job_id, each.index) for each in manifest.pods] == [
        (pod, JOB, 0),
        (f"{JOB}-0-attempt-0", JOB, 0),
    ]
    assert only(manifest, pod).state == "complete"
    assert accounts(manifest, f"{JOB}-0-attempt-0") == [("main", "main", False, "unknown", UNKNOWN)]
    assert await said(stage, manifest, only(manifest, f"{JOB}-0-attempt-0")) == FIRST
    assert manifest.state == "PartiallyComplete"


async def test_the_twin_of_a_log_that_a_pod_states_is_not_archived_twice(stage: Stage) -> None:
    """The answer to the worker's first try was lost, so it stored its log again."""
    pod = await run(stage, PRINT_SECOND, stated(SECOND, attempt=1), {0: SECOND, 1: SECOND})
    manifest = await reaped(forgetful(stage))
    assert [each.name for each in manifest.pods] == [pod]
    assert (only(manifest, pod).state, only(manifest, pod).source) == ("complete", "worker")
    assert manifest.state == "Complete"


async def test_twins_that_no_pod_states_are_archived_once(stage: Stage) -> None:
    pod = await run(stage, PRINT_SECOND, None, {0: FIRST, 1: FIRST})
    manifest = await reaped(stage.with_parts(cluster=Composed(stage.cluster, hidden=frozenset({pod})).port()))
    assert [each.name for each in manifest.pods] == [pod]
    assert await said(stage, manifest, only(manifest, pod)) == FIRST


@pytest.mark.parametrize(("script", "log"), [(PRINT_SECOND, SECOND), (PRINT_LARGE, LARGE)], ids=["whole", "rotated"])
async def test_the_copy_of_a_worker_that_states_nothing_is_its_log(stage: Stage, script: str, log: bytes) -> None:
    """It was killed after it had stored it; its node has the end of it."""
    pod = await run(stage, f"{script}; kill -9 $$", None, {0: FIRST, 1: log})
    manifest = await reaped(forgetful(stage))
    assert [each.name for each in manifest.pods] == [pod, f"{JOB}-0-attempt-0"]
    found = only(manifest, pod)
    assert (found.state, found.source, found.exit_code) == ("unknown", "worker", 137)
    assert found.note == (
        "its worker stored this and ended without stating it, and what its node still had is the end of it: "
        "nothing states how much it printed; Error"
    )
    assert await said(stage, manifest, found) == log
    assert await said(stage, manifest, only(manifest, f"{JOB}-0-attempt-0")) == FIRST


async def test_a_copy_that_is_not_of_a_worker_that_states_nothing_stands_beside_its_log(stage: Stage) -> None:
    pod = await run(stage, f"{PRINT_SECOND}; kill -9 $$", None, {0: FIRST})
    manifest = await reaped(forgetful(stage))
    own, other = only(manifest, pod), only(manifest, f"{JOB}-0-attempt-0")
    assert (own.state, own.source, await said(stage, manifest, own)) == ("unknown", "node", SECOND)
    assert (other.state, other.source, await said(stage, manifest, other)) == ("unknown", "worker", FIRST)


async def test_a_copy_is_archived_once_by_two_reapers_one_after_the_other(stage: Stage) -> None:
    """The first is stopped between the logs and the manifest."""
    pod = await run(stage, PRINT_SECOND, stated(SECOND, attempt=1), {0: FIRST, 1: SECOND})
    name = "livecalc-bucket-b"
    await stage.manager().finalize_namespace(ANA, name, force=False, request_id="f")
    full = Broken(lambda: Unavailable("it is full"), lambda call, args: call == "write" and "manifest" in args[1])
    required = forgetful(stage).with_parts(policy=msgspec.structs.replace(POLICY, archive_policy="required"))
    assert (await required.with_parts(blobs=full.wrap(stage.blobs)).reaper("first").sweep()).failed == 1
    assert (await required.reaper("second").sweep()).successful == 1
    manifest = await stage.manifest("b")
    assert [each.name for each in manifest.pods] == [pod, f"{JOB}-0-attempt-0"]
    assert (await stage.diagnostics.verify(ANA, "b", manifest.timestamp)).holds
