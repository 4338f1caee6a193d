"""Find, outline and fetch one archive of a bucket."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from livecalc.blobs.names import check_blob
from livecalc.cli.files import save_quietly
from livecalc.cli.format import count, moment
from livecalc.cli.session import warn
from livecalc.cli.views.archives import show_archive
from livecalc.domain.errors import Damaged, InvalidInput, NotFound, Unavailable
from livecalc.domain.timestamps import parse_timestamp
from livecalc.lifecycle.manifest import BlobEntry, Manifest, PodViolations
from livecalc.lifecycle.places import MANIFEST, VIOLATIONS
from livecalc.wire.diagnostics import ArchiveVerification

if TYPE_CHECKING:
    from livecalc.client import Client

_CHECK_AT_ONCE = 64 << 20
"""Bytes; a larger archive is checked when it is asked for."""


class Found(Struct, frozen=True, kw_only=True):
    """An archive and its manifest."""

    bucket_id: str
    timestamp: str
    manifest: Manifest
    raw: bytes
    """The manifest as it is stored."""

    @property
    def path(self) -> str:
        """`{bucket_id}/{timestamp}`."""
        return f"{self.bucket_id}/{self.timestamp}"


def find(client: "Client", archive: str) -> Found:
    """Read the manifest of `BUCKET/TIMESTAMP`, or of a bucket's newest archive. Raises NotFound, Damaged."""
    bucket, slash, timestamp = archive.partition("/")
    if not slash:
        timestamp = newest(client, bucket)
    raw = client.manifest(bucket, timestamp)
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as error:
        raise Damaged(f"the manifest of archive {bucket}/{timestamp} cannot be read: {error}") from None
    return Found(bucket_id=bucket, timestamp=timestamp, manifest=manifest, raw=raw)


def newest(client: "Client", bucket: str) -> str:
    """The timestamp of a bucket's newest archive. Raises NotFound, and Damaged when none there is can be read."""
    left_out: list[str] = []
    client.tell_notices(left_out.append)
    timestamp = max((each.timestamp for each in client.archives(bucket)), key=_age, default="")
    client.tell_notices(warn)
    if not timestamp and left_out:
        raise Damaged(f"bucket {bucket} has no archive that can be read: {'; '.join(left_out)}")
    for sentence in left_out:
        warn(sentence)
    if not timestamp:
        raise NotFound(f"bucket {bucket} has no archive: look with `livecalc namespaces list` whether it lives")
    return timestamp


def check(client: "Client", found: Found) -> ArchiveVerification | None:
    """Verify an archive that is not too large for it to be done in passing."""
    if sum(blob.bytes for blob in found.manifest.blobs) > _CHECK_AT_ONCE:
        return None
    return client.verify_archive(found.bucket_id, found.timestamp)


def outline(client: "Client", found: Found, verification: ArchiveVerification | None) -> str:
    """Put all about an archive into text, asking for what the manifest does not say."""
    return show_archive(
        found.manifest,
        digest=hashlib.sha256(found.raw).hexdigest(),
        checked=_checked(found, verification),
        deleted=_deleted(client, found.manifest),
        violations=_violations(client, found),
    )


def fetch(client: "Client", found: Found, target: Path) -> dict[str, Any]:
    """Fetch the blobs that are not there yet, then the manifest. Raises Damaged for one that is not as listed."""
    fetched = 0
    for blob in found.manifest.blobs:
        path = target / _checked_name(blob.name)
        if not _is_there(path, blob):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                save_quietly(client.blob(f"{found.path}/{blob.name}"), path)
            except NotFound:
                raise Damaged(f"blob {found.path}/{blob.name} is missing, and the manifest lists it") from None
            fetched += 1
        if not _is_there(path, blob):
            raise Damaged(f"blob {found.path}/{blob.name} is not what the manifest says; it is at {path}")
    target.mkdir(parents=True, exist_ok=True)
    (target / MANIFEST).write_bytes(found.raw)
    return {
        "archive": found.path,
        "folder": str(target),
        "blobs": len(found.manifest.blobs) + 1,
        "bytes": sum(blob.bytes for blob in found.manifest.blobs) + len(found.raw),
        "fetched": fetched,
    }


def _age(timestamp: str) -> tuple[str, int]:
    """Order archives of one second, `20260126-010504` before `20260126-010504-2`."""
    number = timestamp[16:]
    return timestamp[:15], int(number) if number.isdigit() else 1


def _checked(found: Found, verification: ArchiveVerification | None) -> str:
    if verification is None:
        return f"; to check them: livecalc diagnostics verify {found.path}"
    if verification.holds:
        return ", verified ✔"
    return f", NOT as the manifest says ✘ ({count(len(verification.differences), 'difference')})"


def _deleted(client: "Client", manifest: Manifest) -> str:
    try:
        namespace = client.namespace(manifest.namespace)
    except NotFound:
        return "namespace gone"
    except (Damaged, Unavailable) as error:
        return f"not known: {error.detail}"
    archived, created = parse_timestamp(manifest.archived_at), parse_timestamp(namespace.created_at)
    if archived is not None and created is not None and created >= archived:
        return f"namespace gone; the bucket has a new one since {moment(namespace.created_at)}"
    return f"not yet: the namespace is {namespace.status}"


def _violations(client: "Client", found: Found) -> list[PodViolations]:
    if not found.manifest.violations:
        return []
    try:
        raw = b"".join(client.blob(f"{found.path}/{VIOLATIONS}"))
        return msgspec.json.decode(raw, type=list[PodViolations])
    except (NotFound, Damaged, msgspec.DecodeError):
        # That it is not as the manifest says is told beside; the manifest has their number.
        return []


def _is_there(path: Path, blob: BlobEntry) -> bool:
    if not path.is_file() or path.stat().st_size != blob.bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == blob.sha256


def _checked_name(name: str) -> str:
    """A name that leads nowhere but below the folder. Raises Damaged: no manifest of ours lists another."""
    try:
        return check_blob(name)
    except InvalidInput as error:
        raise Damaged(f"the manifest lists what is no blob: {error.detail}") from None
