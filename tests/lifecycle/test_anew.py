"""What cannot be proved is archived anew, a few times at most; what is waived says all that was known."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from contracts.blob_adapters import ADAPTERS
from lifecycle.composed import Composed
from lifecycle.stage import ANA, POLICY, Stage
from lifecycle.taps import Broken, tap
from lifecycle.test_accounts import a_job, only, said

from livecalc.blobs.port import BlobStore
from livecalc.domain.errors import Unavailable
from livecalc.lifecycle.archive.manifest import encode

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ADAPTERS, indirect=True)]
CONTAINER = "diagnostics-acme"
REQUIRED = msgspec.structs.replace(POLICY, archive_policy="required")
NAME = "livecalc-bucket-b"


async def finalized(stage: Stage, *pods: str) -> None:
    await stage.namespace("b")
    for pod in pods:
        await stage.pod(NAME, pod, f"echo words of {pod}")
    await stage.manager().finalize_namespace(ANA, NAME, force=False, request_id="f")


def losing(stage: Stage, log: str, *, times: int) -> BlobStore:
    """A store that loses a log after it has acknowledged it, when the manifest comes."""
    lost: list[str] = []

    async def lose(call: str, args: tuple[Any, ...]) -> None:
        if call == "write" and args[1].endswith("/manifest.json") and len(lost) < times:
            lost.append(args[1])
            await stage.blobs.delete(args[0], args[1].replace("manifest.json", f"logs/{log}.log"))

    return tap(stage.blobs, pause=lose)


async def test_an_archive_that_cannot_be_proved_is_made_anew_where_one_is_required(stage: Stage) -> None:
    await finalized(stage, "worker-1")
    required = stage.with_parts(blobs=losing(stage, "worker-1", times=1), policy=REQUIRED)
    report = await required.reaper().sweep()
    [outcome] = report.outcomes
    assert outcome.success, outcome.message
    damaged, good = await stage.manifests("b")
    assert (good.timestamp, good.supersedes) == (f"{damaged.timestamp}-2", f"b/{damaged.timestamp}")
    assert (await stage.diagnostics.verify(ANA, "b", good.timestamp)).holds
    found = await stage.diagnostics.verify(ANA, "b", damaged.timestamp)
    assert found.differences == ["logs/worker-1.log is missing"]


async def test_so_it_is_where_none_is_required(stage: Stage) -> None:
    await finalized(stage, "worker-1")
    [outcome] = (await stage.with_parts(blobs=losing(stage, "worker-1", times=1)).reaper().sweep()).outcomes
    damaged, good = await stage.manifests("b")
    assert (outcome.success, outcome.state, outcome.archive) == (True, good.state, f"b/{good.timestamp}")
    assert good.state != "Waived"
    assert good.supersedes == f"b/{damaged.timestamp}"
    assert await said(stage, good, only(good, "worker-1")) == b"words of worker-1\n"


async def test_a_store_that_never_proves_ends_in_a_waiver_that_says_so(stage: Stage) -> None:
    await finalized(stage, "worker-1")
    [outcome] = (await stage.with_parts(blobs=losing(stage, "worker-1", times=3)).reaper().sweep()).outcomes
    *unproved, waiver = await stage.manifests("b")
    assert (outcome.success, outcome.state, outcome.archive) == (True, "Waived", f"b/{waiver.timestamp}")
    assert len(unproved) == 3
    assert (waiver.state, waiver.supersedes) == ("Waived", f"b/{unproved[-1].timestamp}")
    assert waiver.notes[0].endswith("is not what its manifest says: logs/worker-1.log is missing")


async def test_bytes_that_changed_are_no_proof_where_one_is_required(stage: Stage) -> None:
    await finalized(stage, "worker-1")
    changed: list[str] = []

    async def change(call: str, args: tuple[Any, ...]) -> None:
        if call == "write" and args[1].endswith("/manifest.json") and not changed:
            changed.append(args[1].replace("manifest.json", "logs/worker-1.log"))
            await stage.hands.change(args[0], changed[0], lambda raw: bytes([raw[0] ^ 1]) + raw[1:])

    required = stage.with_parts(blobs=tap(stage.blobs, pause=change), policy=REQUIRED)
    [outcome] = (await required.reaper().sweep()).outcomes
    damaged, good = await stage.manifests("b")
    assert (outcome.success, outcome.archive) == (True, f"b/{good.timestamp}")
    assert good.supersedes == f"b/{damaged.timestamp}"
    assert (await stage.diagnostics.verify(ANA, "b", good.timestamp)).holds


async def test_a_store_that_never_proves_is_not_filled_up(stage: Stage) -> None:
    await finalized(stage, "worker-1")
    required = stage.with_parts(blobs=losing(stage, "worker-1", times=100), policy=REQUIRED)
    last = ""
    for number in range(3):
        [outcome] = (await required.reaper(f"r-{number}").sweep()).outcomes
        manifests = await stage.manifests("b")
        last = f"b/{manifests[-1].timestamp}"
        assert outcome.message.startswith(
            f"namespace {NAME} is kept, because it could not be archived: "
            f"archive {last} is not what its manifest says: logs/worker-1.log is missing. "
            "It is archive number 3 of this reaping, and there will be no other: "
        )
        assert outcome.message.endswith(f"or delete the blobs of {last}, and sweep again")
        assert (len(manifests), last[-2:]) == (3, "-3")
    assert not (await stage.local.get_namespace(NAME)).terminating

    for name in await stage.container(CONTAINER):
        if name.startswith(f"{last}/"):
            await stage.blobs.delete(CONTAINER, name)
    assert (await stage.with_parts(policy=REQUIRED).reaper("mended").sweep()).successful == 1
    assert [f"b/{each.timestamp}" for each in await stage.manifests("b")][-1] == last
    assert (await stage.diagnostics.verify(ANA, "b", last.partition("/")[2])).holds


@pytest.mark.parametrize("blob", ["pods.json", "manifest.json", "sentinel-violations.json"])
async def test_a_blob_that_cannot_be_read_leads_to_another_archive(stage: Stage, blob: str) -> None:
    await finalized(stage, "worker-1")
    cut = Broken(lambda: Unavailable("the cluster is away"), lambda call, _: call == "delete_namespace")
    required = stage.with_parts(cluster=cut.wrap(stage.cluster), policy=REQUIRED)
    assert (await required.reaper("first").sweep()).failed == 1
    [made] = await stage.manifests("b")
    await stage.hands.change(CONTAINER, f"b/{made.timestamp}/{blob}", lambda _: b"{")
    if blob == "pods.json":
        await stage.hands.change(CONTAINER, f"b/{made.timestamp}/manifest.json", lambda _: None)
    [outcome] = (await stage.with_parts(policy=REQUIRED).reaper("second").sweep()).outcomes
    assert (outcome.success, outcome.archive) == (True, f"b/{made.timestamp}-2")
    assert (await stage.diagnostics.verify(ANA, "b", f"{made.timestamp}-2")).holds


async def test_what_only_an_earlier_archive_has_goes_over_to_the_next(stage: Stage) -> None:
    """A pod was deleted between the two; its log is nowhere else."""
    await finalized(stage, "gone", "here")
    store = losing(stage, "here", times=1)

    class Going(Composed):
        async def list_pods(self, namespace: str) -> list[Any]:
            pods = await self.cluster.list_pods(namespace)
            return [pod for pod in pods if pod.name != "gone" or not await stage.manifests("b")]

        async def read_log(self, namespace: str, pod: str, *args: Any, **options: Any) -> AsyncIterator[bytes]:
            if pod == "gone" and await stage.manifests("b"):
                raise AssertionError("the node of a pod that is gone has nothing")
            async for chunk in self.cluster.read_log(namespace, pod, *args, **options):
                yield chunk

    required = stage.with_parts(cluster=Going(stage.cluster).port(), blobs=store, policy=REQUIRED)
    [outcome] = (await required.reaper().sweep()).outcomes
    assert outcome.success, outcome.message
    _, good = await stage.manifests("b")
    log = only(good, "gone")
    assert (log.state, log.source, await said(stage, good, log)) == ("unknown", "node", b"words of gone\n")
    assert (await stage.diagnostics.verify(ANA, "b", good.timestamp)).holds


async def test_pods_that_only_another_holder_has_seen_are_accounted_for(stage: Stage) -> None:
    """It stored its list between our look and ours; one of its pods was gone by then."""
    await finalized(stage, "gone", "here")

    async def come_first(call: str, args: tuple[Any, ...]) -> None:
        if call == "write" and args[1].endswith("/pods.json"):
            record = await stage.local.get_namespace(NAME)
            listed = encode(await stage.local.list_pods(NAME))
            await stage.blobs.write(args[0], args[1], listed, metadata={"namespace_uid": record.uid})

    shown = Composed(stage.cluster, hidden=frozenset({"gone"})).port()
    [outcome] = (
        await stage.with_parts(cluster=shown, blobs=tap(stage.blobs, pause=come_first)).reaper().sweep()
    ).outcomes
    assert outcome.success, outcome.message
    manifest = await stage.manifest("b")
    assert [pod.name for pod in manifest.pods] == ["gone", "here"]
    assert outcome.state == "PartiallyComplete"


async def waived(stage: Stage, *needles: str, cluster_away: bool = False) -> None:
    """Reap with a store that does not take blobs of such names, and a cluster that from then on lists no pods."""
    full = Broken(lambda: Unavailable("it is full"), lambda call, args: call == "write" and args[1].endswith(needles))
    away = Broken(
        lambda: Unavailable("it is away"), lambda call, _: call == "list_pods" and cluster_away and full.failures > 0
    )
    parts = stage.with_parts(blobs=full.wrap(stage.blobs), cluster=away.wrap(stage.cluster))
    report = await parts.reaper().sweep()
    assert report.failed == int(cluster_away)
    assert (await stage.reaper("second").sweep()).failed == 0
    assert await stage.is_gone(NAME)


async def test_a_waived_archive_lists_all_that_was_told(stage: Stage) -> None:
    await stage.namespace("b")
    await stage.pod(NAME, "worker-1", "echo words")
    worker = await a_job(stage, "j-apex00000000", "echo more")
    await stage.manager().finalize_namespace(ANA, NAME, force=False, request_id="f")
    await waived(stage, ".log")
    manifest = await stage.manifest("b")
    assert (manifest.state, manifest.notes) == ("Waived", ["it is full"])
    assert [(pod.name, pod.job_id) for pod in manifest.pods] == [(worker, "j-apex00000000"), ("worker-1", None)]
    for log in manifest.containers:
        assert (log.state, log.note, log.exit_code) == ("lost", "it was not stored before the archive was waived", 0)
    [job] = manifest.jobs
    assert (job.job_id, job.state) == ("j-apex00000000", "failed")
    assert manifest.audit_head is not None
    assert manifest.versions["cluster"].startswith("local, livecalc ")
    assert (await stage.diagnostics.verify(ANA, "b", manifest.timestamp)).holds


async def test_a_waived_archive_lists_the_pods_that_were_stored_when_the_cluster_is_away(stage: Stage) -> None:
    await finalized(stage, "worker-1")
    await waived(stage, "events.json", cluster_away=True)
    manifest = await stage.manifest("b")
    assert (manifest.state, [pod.name for pod in manifest.pods]) == ("Waived", ["worker-1"])
    assert await said(stage, manifest, only(manifest, "worker-1")) == b"words of worker-1\n"
