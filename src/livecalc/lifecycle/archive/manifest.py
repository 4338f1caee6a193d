"""`manifest.json` of an archive: what is there, what is not, and why. JSON; field names are a public format."""

from typing import Literal

import msgspec
from msgspec import Struct, field

from livecalc.blobs.port import BlobStore, read_all
from livecalc.blobs.stored import decode_stored
from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import Damaged, NotFound
from livecalc.lifecycle.archive.places import MANIFEST, VIOLATIONS, Place

LogState = Literal["complete", "truncated", "unknown", "lost"]
ArchiveState = Literal["Complete", "PartiallyComplete", "Waived"]
FORMAT = 1
_SCHEMAS = "urn:livecalc:archive-manifest:"
SCHEMA = f"{_SCHEMAS}{FORMAT}"


class ContainerLog(Struct, frozen=True, kw_only=True):
    """The log of one run of one container, or why there is none."""

    name: str
    kind: str
    """`main`, `init`, `sidecar`, `ephemeral`; empty, as the name, of a pod that only events tell of."""
    previous: bool = False
    """The run before the last restart, or those before that."""
    state: LogState
    blob: str | None = None
    """Relative to the archive's folder; None when nothing could be stored, or nothing was printed before a start."""
    bytes: int = 0
    sha256: str | None = None
    source: Literal["worker", "node", "none"] = "none"
    """`worker`: the copy that the worker stored itself; `node`: what its node still had."""
    note: str = ""
    exit_code: int | None = None


class PodLogs(Struct, frozen=True, kw_only=True):
    """One pod and all its containers."""

    name: str
    uid: str
    phase: str
    node: str = ""
    job_id: str | None = None
    index: int | None = None
    containers: list[ContainerLog]


class BlobEntry(Struct, frozen=True, kw_only=True):
    """One blob of the archive, relative to its folder."""

    name: str
    bytes: int
    sha256: str


class JobEntry(Struct, frozen=True, kw_only=True):
    """How a job of the bucket ended."""

    job_id: str
    state: str
    """As its record says; `unknown` when that could not be read."""
    result_hash: str | None = None
    records: str | None = None
    """The blob with what was asked and how it ended, relative to the archive's folder."""
    model_bundle_hash: str | None = None
    image: str | None = None
    """Of its workers."""
    versions: dict[str, str] = field(default_factory=dict[str, str])
    """Of what computed it."""


class Manifest(Struct, frozen=True, kw_only=True):
    """The last blob that is written; what it lists is there."""

    schema: str = SCHEMA
    """The `$id` of `manifest.schema.json` that it was written by."""
    format: int = FORMAT
    state: ArchiveState
    bucket_id: str
    timestamp: str
    namespace: str
    namespace_uid: str
    tenant_id: str
    reason: str
    """Why the namespace was reaped."""
    reaped_by: str
    """The user who asked for it, or the cleanup worker."""
    holder: str
    """The reaper process that wrote this."""
    request_id: str
    namespace_created_at: str
    claimed_at: str
    archived_at: str
    retention: str
    retain_until: str
    pods: list[PodLogs]
    blobs: list[BlobEntry]
    """Everything but this manifest, by name."""
    violations: int
    jobs: list[JobEntry]
    audit_head: str | None
    versions: dict[str, str]
    supersedes: str | None = None
    """The archive of the same reaping that came too early for a pod, or could not be proved."""
    supersedes_sha256: str | None = None
    """Of that archive's manifest: the audit record has this one's alone."""
    notes: list[str] = field(default_factory=list[str])
    """What else is missing, and why."""

    @property
    def containers(self) -> list[ContainerLog]:
        """All logs that it accounts for."""
        return [log for pod in self.pods for log in pod.containers]


class PodViolation(Struct, frozen=True, kw_only=True):
    """One canary that was overwritten, as `sentinel-violations.json` says it."""

    offset: int
    expected: str
    """Hex with `0x`."""
    actual: str


class PodViolations(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The violations of one pod."""

    pod: str
    violations: list[PodViolation]
    timestamp: str
    """When they were extracted."""
    malformed: list[str] = []  # msgspec copies it, and leaves it out of the JSON as long as it is empty
    """Parts of the annotation that are no violations, as they came."""


def encode(value: object) -> bytes:
    """JSON for programs that a person can read too."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


async def read_manifest(blobs: BlobStore, place: Place) -> tuple[Manifest, bytes]:
    """Read a manifest and its bytes. Raises NotFound, Damaged."""
    try:
        raw = await read_all(blobs, place.container, place.blob(MANIFEST))
    except NotFound:
        raise NotFound(f"there is no archive {place.folder.rstrip('/')}") from None
    except Damaged as error:
        raise Damaged(f"the manifest of archive {place.folder.rstrip('/')} is damaged: {error.detail}") from error
    return decode_manifest(raw, place.folder.rstrip("/")), raw


def decode_manifest(raw: bytes, archive: str) -> Manifest:
    """Read the manifest of the archive that people call so. Raises Damaged, also for one of a format to come."""
    try:
        why = foreign_format(raw)
        if why is None:
            return decode_json(raw, Manifest)
    except msgspec.DecodeError as error:
        why = str(error)
    raise Damaged(f"the manifest of archive {archive} cannot be read: {why}")


class _Format(Struct, frozen=True, kw_only=True):
    """As much of a manifest as says how to read the rest."""

    schema: str | None = None
    format: int = FORMAT


def foreign_format(raw: bytes) -> str | None:
    """Say why a manifest has no format that is read here; None when it has: ours, or one before.

    Raises DecodeError for what is no manifest at all.
    """
    said = decode_json(raw, _Format)
    if said.format > FORMAT:
        return (
            f"its format is {said.format}, and this livecalc reads {FORMAT} and those before: "
            "use the version that wrote it, or a newer one"
        )
    if said.schema not in {None, f"{_SCHEMAS}{said.format}"}:
        return f"it names schema {str(said.schema)[:80]!r}, which is not that of its format {said.format}"
    return None


async def read_violations(blobs: BlobStore, place: Place) -> list[PodViolations]:
    """Read the violations of an archive. Raises NotFound, Damaged."""
    return decode_violations(await read_all(blobs, place.container, place.blob(VIOLATIONS)), place.path)


def decode_violations(raw: bytes, archive: str) -> list[PodViolations]:
    """Read what `sentinel-violations.json` of an archive holds. Raises Damaged."""
    return decode_stored(raw, list[PodViolations], f"the violations of archive {archive}")
