"""What came of a reaping and of a sweep, for counters, logs, audit and answers."""

from msgspec import Struct, field

from livecalc.lifecycle.archive.archiver import Archived
from livecalc.lifecycle.archive.manifest import ArchiveState


class ReapOutcome(Struct, frozen=True, kw_only=True):
    """One claimed namespace: gone, or why it is not."""

    namespace: str
    bucket_id: str
    success: bool
    message: str
    archive: str | None = None
    """`{bucket_id}/{timestamp}`."""
    state: ArchiveState | None = None
    logs_complete: int = 0
    logs_total: int = 0
    violations: int = 0
    blob_paths: list[str] = field(default_factory=list[str])
    """Relative to the tenant's container."""
    manifest_sha256: str | None = None
    left: list[str] = field(default_factory=list[str])
    """Volumes that survived, each with its claim and why."""
    seconds: float = 0.0


class SweepReport(Struct, frozen=True, kw_only=True):
    """What a sweep did."""

    successful: int = 0
    failed: int = 0
    stamped: int = 0
    kept: int = 0
    """Planned to be reaped, but used again before they were claimed."""
    not_due: int = 0
    """Kept as planned."""
    elsewhere: int = 0
    """In the hands of another reaper, or finished by it."""
    outcomes: tuple[ReapOutcome, ...] = ()
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether everything was decided and done; else the cleanup worker ends with exit 1."""
        return self.failed == 0 and not self.problems


def archived_facts(archived: Archived | None) -> dict[str, object]:
    """The fields of an outcome that an archive gives."""
    if archived is None:
        return {}
    manifest, folder = archived.manifest, archived.place.folder
    logs = manifest.containers
    return {
        "archive": f"{manifest.bucket_id}/{manifest.timestamp}",
        # A manifest that could not be proved was waived, whatever it says of itself.
        "state": manifest.state if archived.receipt is not None else "Waived",
        "logs_complete": sum(log.state == "complete" for log in logs),
        "logs_total": len(logs),
        "violations": manifest.violations,
        "blob_paths": [folder + blob.name for blob in manifest.blobs] + [f"{folder}manifest.json"],
        "manifest_sha256": archived.manifest_sha256,
    }
