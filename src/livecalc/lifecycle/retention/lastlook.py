"""The last look at whether a deletion may happen: as the plan looked, but at what is there once it is marked.

Whoever puts something in its way, a hold or a submit, writes first and looks for the mark then: one sees the other.
"""

from datetime import datetime

import msgspec

from livecalc.blobs.port import BlobStore
from livecalc.cluster.port import Cluster
from livecalc.domain.buckets import namespace_name
from livecalc.domain.errors import NotFound
from livecalc.domain.jobs import is_job_id
from livecalc.lifecycle.retention.contents import Contents
from livecalc.lifecycle.retention.decision import Decision, Keep, decide_archive, decide_bundle, decide_job, widened
from livecalc.lifecycle.retention.folders import ArchiveFolder, JobFolder
from livecalc.lifecycle.retention.holds import read_holds
from livecalc.lifecycle.retention.look import read_submitted, see_archive, see_bundle, see_job, shelves_of_results
from livecalc.lifecycle.retention.marks import Target
from livecalc.lifecycle.retention.observe import is_of
from livecalc.lifecycle.retention.seen import TenantSeen
from livecalc.records import paths


class LastLook:
    """Looks at the targets of one run. What they depend on was looked at by the plan, and went before them."""

    def __init__(self, *, cluster: Cluster, blobs: BlobStore) -> None:
        self._cluster = cluster
        self._blobs = blobs

    async def why_kept(self, tenant: TenantSeen, target: Target, contents: Contents, now: datetime) -> str | None:
        """Say what stands against the deletion of what is still there; None when nothing does.

        Raises Unavailable, Damaged.
        """
        if target.kind == "bundle":
            decision = await self._bundle(tenant, target, contents, now)
        else:
            holds = await read_holds(self._blobs, tenant.key, target.bucket_id or None)
            held = msgspec.structs.replace(tenant, holds=widened(holds, tenant.archives))
            decision = await self._held(held, target, contents, now)
        return decision.reason if isinstance(decision, Keep) else None

    async def _held(self, tenant: TenantSeen, target: Target, contents: Contents, now: datetime) -> Decision:
        if target.place is not None:
            archive = ArchiveFolder.of(target.place, contents.blobs)
            return decide_archive(tenant, await see_archive(self._blobs, tenant.key, archive), now)
        folder = JobFolder.of(target.name, target.bucket_id, contents.blobs)
        job = await see_job(self._blobs, tenant.key, folder)
        there = frozenset({job.bucket_id}) if await self._has_namespace(tenant.key, job.bucket_id) else frozenset[str]()
        return decide_job(msgspec.structs.replace(tenant, buckets=there), job, (), (), now)

    async def _has_namespace(self, key: str, bucket_id: str) -> bool:
        if not bucket_id:
            return False
        try:
            return is_of(await self._cluster.get_namespace(namespace_name(bucket_id)), key)
        except NotFound:
            return False

    async def _bundle(self, tenant: TenantSeen, target: Target, contents: Contents, now: datetime) -> Decision:
        job_id = await self._new_job_of(tenant, target.name)
        if job_id is not None:
            return Keep(f"job {job_id} needs it")
        return decide_bundle(tenant, see_bundle(target.name, contents.blobs), (), (), now)

    async def _new_job_of(self, tenant: TenantSeen, model_bundle_hash: str) -> str | None:
        """Find a job that the plan did not know of, and that needs a bundle. Raises Damaged for one it cannot read."""
        known = {job.job_id for job in tenant.jobs if job.model_bundle_hash is not None}
        for shelf in shelves_of_results(tenant.key):
            listing = self._blobs.list_blobs(shelf.container, shelf.blob(paths.BUCKETS))
            new = {job_id async for info in listing if (job_id := info.name.rpartition("/")[2]) not in known}
            for job_id in sorted(new):
                record = await read_submitted(self._blobs, shelf, job_id) if is_job_id(job_id) else None
                if record is not None and record.model_bundle_hash == model_bundle_hash:
                    return job_id
        return None
