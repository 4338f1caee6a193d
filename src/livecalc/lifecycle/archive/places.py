"""Where archives lie: the container of a tenant, and the path of one reaping in it."""

from datetime import datetime
from functools import lru_cache

from msgspec import Struct

from livecalc.domain.buckets import is_bucket_id
from livecalc.domain.errors import Conflict
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.retention import Retention, retain_until
from livecalc.domain.shelves import regulatory_container
from livecalc.domain.timestamps import format_timestamp, parse_archive_timestamp

MANIFEST = "manifest.json"
PODS = "pods.json"
EVENTS = "events.json"
VIOLATIONS = "sentinel-violations.json"
LOGS = "logs/"
JOBS = "jobs/"
INTERNAL = "_"
"""How blobs begin that lie beside archives and are of none: no bucket id begins so."""
OWNER = "namespace_uid"
"""The metadata of every blob of an archive: which namespace it is of."""
RETAIN_UNTIL = "retain_until"
"""The metadata, and tag, of every blob of an archive: until when it is kept."""

_REGULATORY_FOLDER = "archives/"


class Place(Struct, frozen=True, kw_only=True):
    """A folder of blobs: one archive."""

    container: str
    folder: str
    """`{bucket_id}/{timestamp}/`, below `archives/` for regulatory data."""

    @property
    def path(self) -> str:
        """The archive as people call it, `{bucket_id}/{timestamp}`, wherever it lies."""
        return "/".join(self.folder.rstrip("/").split("/")[-2:])

    def blob(self, name: str) -> str:
        """The whole name of one of its blobs."""
        return self.folder + name


def job_records(job_id: str) -> str:
    """The name of the copy of a job's records in an archive."""
    return f"{JOBS}{job_id}.json"


def standard_container(prefix: str, tenant_key: str) -> str:
    """Where a tenant's standard archives lie."""
    return f"{prefix}-{tenant_key}"


def archive_place(prefix: str, record: NamespaceRecord, path: str) -> Place:
    """The place of the archive `{bucket_id}/{timestamp}` of a namespace."""
    if record.retention is Retention.REGULATORY:
        return Place(container=regulatory_container(record.tenant_key), folder=f"{_REGULATORY_FOLDER}{path}/")
    return Place(container=standard_container(prefix, record.tenant_key), folder=f"{path}/")


def bucket_places(prefix: str, tenant_key: str, path: str | None) -> list[Place]:
    """All places where an archive, a bucket's archives, or (None) all of a tenant may lie; standard first."""
    folder = "" if path is None else f"{path}/"
    return [
        Place(container=standard_container(prefix, tenant_key), folder=folder),
        Place(container=regulatory_container(tenant_key), folder=_REGULATORY_FOLDER + folder),
    ]


@lru_cache(maxsize=64)  # asked for each blob of an archive
def kept_until(path: str, retention: Retention) -> datetime:
    """Until when the archive `{bucket_id}/{timestamp}` is kept: the same whoever writes it, and however long it takes.

    Raises Conflict for a claim whose path is none.
    """
    began_at = parse_archive_timestamp(path.rpartition("/")[2])
    if began_at is None:
        raise Conflict(f"{path} is no archive's path: it does not end in the time of its claim")
    return retain_until(retention, began_at)


def about(place: Place, record: NamespaceRecord) -> dict[str, str]:
    """The metadata that every blob of the archive of a namespace carries."""
    until = kept_until(place.folder.rstrip("/"), record.retention)
    return {OWNER: record.uid, RETAIN_UNTIL: format_timestamp(until)}


def locked_until(place: Place, record: NamespaceRecord) -> datetime | None:
    """Until when the store itself must protect every blob of the archive of a namespace; None when it need not."""
    if record.retention is not Retention.REGULATORY:
        return None
    return kept_until(place.path, record.retention)


def next_path(path: str) -> str:
    """The path to try after this one: `b/20260125-010000`, then `b/20260125-010000-2`, `-3`."""
    bucket, _, timestamp = path.rpartition("/")
    parts = timestamp.split("-")
    number = int(parts[2]) if len(parts) > 2 else 1  # noqa: PLR2004  (day, time, number)
    return f"{bucket}/{'-'.join(parts[:2])}-{number + 1}"


def earlier_paths(path: str) -> list[str]:
    """The paths that were tried before this one, the last first: `next_path` backwards."""
    bucket, _, timestamp = path.rpartition("/")
    day, time, *number = timestamp.split("-")
    before = range(int(number[0]) - 1, 0, -1) if number else ()
    return [f"{bucket}/{day}-{time}" + (f"-{each}" if each > 1 else "") for each in before]


def path_order(path: str) -> tuple[str, str, str]:
    """What paths are sorted by: bucket and time; `-2` within a second comes after the one without."""
    bucket_id, _, timestamp = path.partition("/")
    return bucket_id, timestamp[:15], timestamp[15:].rjust(8)


def first_path(path: str) -> str:
    """The path that a reaping began with, whose number was then counted up: `next_path` all the way back."""
    bucket, _, timestamp = path.rpartition("/")
    return f"{bucket}/{'-'.join(timestamp.split('-')[:2])}"


def split_name(name: str) -> tuple[str, str]:
    """The archive that a blob is of, `{bucket_id}/{timestamp}`, and its name there; both empty for one of none.

    `name` is relative to where a tenant's archives lie in a container, `bucket_places(prefix, tenant_key, None)`.
    """
    bucket_id, _, rest = name.partition("/")
    timestamp, _, inner = rest.partition("/")
    if inner and is_bucket_id(bucket_id) and is_archive_timestamp(timestamp):
        return f"{bucket_id}/{timestamp}", inner
    return "", ""


def is_archive_timestamp(text: str) -> bool:
    """Tell whether a text is the last part of an archive's path."""
    return parse_archive_timestamp(text) is not None
