"""Where archives lie: the container of a tenant, and the path of one reaping in it."""

import re

from msgspec import Struct

from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.retention import Retention

MANIFEST = "manifest.json"
PODS = "pods.json"
EVENTS = "events.json"
VIOLATIONS = "sentinel-violations.json"
LOGS = "logs/"
OWNER = "namespace_uid"
"""The metadata of every blob of an archive: which namespace it is of."""

_REGULATORY_FOLDER = "archives/"
_TIMESTAMP = re.compile(r"\d{8}-\d{6}(-[1-9]\d*)?", re.ASCII)


class Place(Struct, frozen=True, kw_only=True):
    """A folder of blobs: one archive."""

    container: str
    folder: str
    """`{bucket_id}/{timestamp}/`, below `archives/` for regulatory data."""

    def blob(self, name: str) -> str:
        """The whole name of one of its blobs."""
        return self.folder + name


def standard_container(prefix: str, tenant_key: str) -> str:
    """Where a tenant's standard archives lie."""
    return f"{prefix}-{tenant_key}"


def regulatory_container(tenant_key: str) -> str:
    """Where everything lies that is kept for seven years."""
    return f"regulatory-{tenant_key}"


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


def next_path(path: str) -> str:
    """The path to try after this one: `b/20260125-010000`, then `b/20260125-010000-2`, `-3`."""
    bucket, _, timestamp = path.rpartition("/")
    parts = timestamp.split("-")
    number = int(parts[2]) if len(parts) > 2 else 1  # noqa: PLR2004  (day, time, number)
    return f"{bucket}/{'-'.join(parts[:2])}-{number + 1}"


def is_archive_timestamp(text: str) -> bool:
    """Tell whether a text is the last part of an archive's path."""
    return _TIMESTAMP.fullmatch(text) is not None
