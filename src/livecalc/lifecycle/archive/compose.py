"""Put a manifest together from what was collected, what is stored, and what the reaper knows. Pure."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

from livecalc.blobs.port import BlobInfo
from livecalc.domain.timestamps import format_timestamp
from livecalc.lifecycle.archive.collection import Collected
from livecalc.lifecycle.archive.manifest import ArchiveState, BlobEntry, JobEntry, Manifest
from livecalc.lifecycle.archive.places import MANIFEST, job_records, kept_until
from livecalc.lifecycle.hold import Hold
from livecalc.records.model import JobRecords
from livecalc.telemetry.versions import versions


class Told(Struct, frozen=True, kw_only=True):
    """What a manifest says that its archive's blobs do not."""

    jobs: list[JobRecords] = field(default_factory=list[JobRecords])
    audit_head: str | None = None
    cluster: str
    """Its name and version."""
    supersedes: str | None = None
    supersedes_sha256: str | None = None
    notes: list[str] = field(default_factory=list[str])
    """What is missing, and why; with any, the archive is not complete."""


def compose(  # noqa: PLR0913  (the sources of a manifest)
    hold: Hold,
    now: datetime,
    collected: Collected,
    stored: Mapping[str, BlobInfo],
    told: Told,
    *,
    waived: bool = False,
) -> Manifest:
    """Compose the manifest of a namespace archived at `now`; `stored` by names relative to the archive's folder."""
    record, claim = hold.record, hold.claim
    return Manifest(
        state="Waived" if waived else _state(collected, told),
        bucket_id=record.bucket_id,
        timestamp=claim.archive.rpartition("/")[2],
        namespace=record.name,
        namespace_uid=record.uid,
        tenant_id=record.tenant_id,
        reason=claim.reason,
        reaped_by=claim.user_id,
        holder=claim.holder,
        request_id=claim.request_id,
        namespace_created_at=format_timestamp(record.created_at),
        claimed_at=format_timestamp(claim.started_at or now),
        archived_at=format_timestamp(now),
        retention=record.retention,
        retain_until=format_timestamp(kept_until(claim.archive, record.retention)),
        pods=collected.pods,
        blobs=[
            BlobEntry(name=name, bytes=info.size, sha256=info.sha256)
            for name, info in sorted(stored.items())
            if name != MANIFEST
        ],
        violations=collected.violations,
        jobs=[_entry(job, stored) for job in told.jobs],
        audit_head=told.audit_head,
        versions={**versions(), "cluster": told.cluster},
        supersedes=told.supersedes,
        supersedes_sha256=told.supersedes_sha256,
        notes=told.notes,
    )


def _entry(job: JobRecords, stored: Mapping[str, BlobInfo]) -> JobEntry:
    submitted, finished = job.submitted, job.finished
    records = job_records(submitted.job_id)
    return JobEntry(
        job_id=submitted.job_id,
        state=finished.state if finished else "unknown",
        result_hash=finished.result_hash if finished else None,
        records=records if records in stored else None,
        model_bundle_hash=submitted.model_bundle_hash,
        image=submitted.image,
        versions=submitted.versions,
    )


def _state(collected: Collected, told: Told) -> ArchiveState:
    whole = all(log.state == "complete" for pod in collected.pods for log in pod.containers)
    return "Complete" if whole and not told.notes else "PartiallyComplete"
