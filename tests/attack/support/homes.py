"""Homes to attack: prepared once, copied for each attempt; and what is to be found in one afterwards."""

import shutil
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
import msgspec
from attack.support.crew import Crew
from attack.support.flows import ANA, BUCKET, BUNDLE, platform_at
from msgspec import Struct
from support.bundles import CONFIG, bundle, model_files
from support.processes import processes_with
from support.waiting import eventually

from livecalc.blobs.port import BlobStore, read_all
from livecalc.cluster.local import LocalCluster
from livecalc.cluster.port import PodTemplate
from livecalc.domain.audit import AuditRecord
from livecalc.jobs.service import SubmitRequest
from livecalc.lifecycle.archive.manifest import Manifest
from livecalc.services import Platform
from livecalc.wire.jobs import Job

NAMESPACE = f"livecalc-bucket-{BUCKET}"
FOREIGN = "foreign-1"
FOREIGN_LOG = b"said by a pod of no job\n"


class Site(Struct, frozen=True):
    """A folder with a home, the bundle beside it, and a place for temporary files."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def copy(self, folder: Path) -> "Site":
        """The same site elsewhere. Nothing may run in it."""
        # The bell is a named pipe, which copytree cannot copy; a node makes its own.
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("node.bell"))
        return Site(folder)

    def remove(self) -> None:
        """Take it away; a node that still lingers there notices."""
        shutil.rmtree(self.folder)


def new_site(folder: Path) -> Site:
    """A site whose home nobody has used."""
    (folder / "tmp").mkdir(parents=True)
    (folder / "home").mkdir(mode=0o700)
    (folder / "home" / "cluster").mkdir(mode=0o700)
    (folder / BUNDLE).write_bytes(bundle(model_files(CONFIG)))
    return Site(folder)


@asynccontextmanager
async def used_site(folder: Path, *, partitions: int) -> AsyncGenerator[tuple[Site, Platform, Job], None]:
    """A new site on which a job has succeeded."""
    site = new_site(folder)
    async with platform_at(site.home) as platform:
        pushed = await platform.bundles.push(ANA.tenant_key, folder / BUNDLE)
        request = SubmitRequest(bucket_id=BUCKET, model_bundle_hash=pushed.model_bundle_hash, partitions=partitions)
        submitted = await platform.jobs.submit(ANA, request, request_id="first")
        yield site, platform, await finished(platform, submitted.job_id)
    await at_rest(site)


async def at_rest(site: Site) -> None:
    """Wait until no process of a home is left: the node leaves when it has nothing to do."""

    async def nobody() -> bool:
        return not await anyio.to_thread.run_sync(processes_with, str(site.home))

    await eventually(nobody)


async def populate(home: Path) -> None:
    """Put into the bucket's namespace a volume, and a pod of no job that has printed and ended."""
    cluster = LocalCluster(home / "cluster")
    await cluster.create_volume_claim(NAMESPACE, "data")
    template = PodTemplate(image="none", command=("printf", "%s", FOREIGN_LOG.decode()))
    await cluster.create_pod(NAMESPACE, FOREIGN, template)
    await eventually(lambda: _has_ended(cluster))
    await cluster.close()


async def _has_ended(cluster: LocalCluster) -> bool:
    pods = await cluster.list_pods(NAMESPACE)
    claims = await cluster.list_volume_claims(NAMESPACE)
    return not any(pod.alive for pod in pods) and all(claim.volume for claim in claims)


async def finished(platform: Platform, job_id: str) -> Job:
    """Wait for the end of a job."""
    return [job async for job in platform.jobs.events(ANA, job_id)][-1]


class Blobs(Struct, frozen=True):
    """All blobs of a store, by container and name: their digests."""

    digests: dict[str, dict[str, str]]

    def of(self, kind: str) -> dict[str, str]:
        """The blobs of the tenant's container of a kind: `results`, `diagnostics`, ..."""
        return self.digests.get(f"{kind}-{ANA.tenant_key}", {})


async def list_all(blobs: BlobStore) -> Blobs:
    """List a whole store."""
    return Blobs(
        {
            container: {info.name: info.sha256 async for info in blobs.list_blobs(container)}
            for container in await blobs.list_containers()
        }
    )


async def manifest_of(platform: Platform) -> Manifest:
    """The manifest of the bucket's one archive, whose every blob is as it says, with nothing beside."""
    [archive] = await platform.diagnostics.list_archives(ANA, BUCKET)
    verification = await platform.diagnostics.verify(ANA, BUCKET, archive.timestamp)
    assert verification.holds, verification.differences
    folder = f"{BUCKET}/{archive.timestamp}/"
    stored = (await list_all(platform.blobs)).of("diagnostics")
    assert [name for name in stored if not name.startswith(folder)] == []
    return msgspec.json.decode(await platform.diagnostics.manifest(ANA, BUCKET, archive.timestamp), type=Manifest)


async def audited(platform: Platform) -> Counter[tuple[str, str]]:
    """How often each operation and phase was audited, in a chain that holds."""
    chain = await platform.audit.verify(ANA.tenant_id)
    assert chain.holds, chain.reason
    records: list[AuditRecord] = await platform.audit.read(ANA.tenant_id, limit=10_000)
    return Counter((record.operation, record.phase) for record in records)


async def read_json(blobs: BlobStore, container: str, name: str) -> object:
    return msgspec.json.decode(await read_all(blobs, container, name))


async def leftovers(site: Site, crew: Crew) -> list[str]:
    """Files that no part of a home accounts for once nothing runs, no namespace is left, and others were at work."""
    assert (await crew.live("borrow", site.home)).exit == 0
    store = site.home / "blobs"
    return sorted(str(path.relative_to(site.folder)) for path in _strays(site, store))


def _strays(site: Site, store: Path) -> Iterator[Path]:
    yield from (site.folder / "tmp").iterdir()
    for folder in ("pods", "volumes"):
        if (site.home / "cluster" / folder).exists():
            yield from (site.home / "cluster" / folder).iterdir()
    if (store / ".tmp").exists():
        yield from (store / ".tmp").iterdir()
    for record in (store / ".meta").rglob("*%.json"):
        blob = store / record.relative_to(store / ".meta")
        if not blob.with_name(blob.name.removesuffix("%.json")).exists():
            yield record
