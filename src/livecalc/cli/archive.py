"""Find and outline one archive of a bucket, and a log in it."""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from livecalc.cli.format import count, moment
from livecalc.cli.session import warn
from livecalc.cli.views.archives import show_archive
from livecalc.domain.buckets import NAMESPACE_PREFIX
from livecalc.domain.errors import Damaged, InvalidInput, NotFound, Unavailable
from livecalc.domain.timestamps import parse_timestamp
from livecalc.lifecycle.archive.manifest import (
    ContainerLog,
    Manifest,
    PodViolations,
    decode_manifest,
    decode_violations,
)
from livecalc.lifecycle.archive.places import LOGS, MANIFEST, VIOLATIONS
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
    bucket, timestamp = locate(client, archive)
    raw = client.manifest(bucket, timestamp)
    manifest = decode_manifest(raw, f"{bucket}/{timestamp}")
    return Found(bucket_id=bucket, timestamp=timestamp, manifest=manifest, raw=raw)


def locate(client: "Client", archive: str) -> tuple[str, str]:
    """The bucket and timestamp of `BUCKET/TIMESTAMP`, or of a bucket's newest archive. Raises as `newest`."""
    bucket, timestamp = read_name(archive)
    return bucket, timestamp or newest(client, bucket)


def read_name(archive: str) -> tuple[str, str | None]:
    """Split `BUCKET[/TIMESTAMP]`, where BUCKET is a bucket id or its namespace. Raises InvalidInput."""
    bucket, slash, timestamp = archive.removeprefix(NAMESPACE_PREFIX).partition("/")
    if not bucket or (slash and not timestamp):
        raise InvalidInput(f"{archive!r} names no archive: give BUCKET or BUCKET/TIMESTAMP, as q4-2025")
    return bucket, timestamp or None


def verify(client: "Client", archive: str) -> ArchiveVerification:
    """Verify `BUCKET/TIMESTAMP`, or a bucket's newest archive, also one that is gone. Raises NotFound, Damaged."""
    bucket, timestamp = read_name(archive)
    return client.verify_archive(bucket) if timestamp is None else client.verify_archive(bucket, timestamp)


def log_name(found: Found, log: str) -> str:
    """The blob of an archive that people mean by a pod, a pod's container, or the blob's own name. Raises NotFound."""
    names = {blob.name for blob in found.manifest.blobs} | {MANIFEST}
    for name in (log, f"{LOGS}{log}", f"{LOGS}{log}.log"):
        if name in names:
            return name
    logs = [each for pod in found.manifest.pods if pod.name == log for each in pod.containers]
    stored = [each.blob.removeprefix(LOGS).removesuffix(".log") for each in logs if each.blob]
    if len(stored) == 1:
        return f"{LOGS}{stored[0]}.log"
    if stored:
        raise NotFound(f"pod {log} has {len(stored)} logs in archive {found.path}: give one of {', '.join(stored)}")
    for what, run in (("pod", logs), ("container", _runs(found.manifest, log))):
        if run and run[0].blob:
            return run[0].blob
        if run:
            why = f"{run[0].state}, {run[0].note or 'it printed none'}"
            raise NotFound(f"{what} {log} has no log in archive {found.path}: {why}")
    raise NotFound(f"archive {found.path} has no log {log}: `livecalc diagnostics show {found.path}` names its pods")


def read_log(client: "Client", found: Found, name: str) -> Iterator[bytes]:
    """Stream a blob of an archive as it comes. Raises Damaged at its end when it is not what the manifest lists."""
    entry = next((each for each in found.manifest.blobs if each.name == name), None)
    digest = hashlib.sha256()
    try:
        for chunk in client.blob(f"{found.path}/{name}"):
            digest.update(chunk)
            yield chunk
    except NotFound:
        if entry is None:
            raise
        raise Damaged(f"{name} is missing, and the manifest of archive {found.path} lists it") from None
    if entry is not None and digest.hexdigest() != entry.sha256:
        raise Damaged(
            f"what was printed is not what the manifest says of {name}: "
            f"its digest is {digest.hexdigest()[:12]} instead of {entry.sha256[:12]}"
        )


def newest(client: "Client", bucket: str) -> str:
    """The timestamp of a bucket's newest archive. Raises NotFound, and Damaged when none there is can be read."""
    left_out: list[str] = []
    client.tell_notices(left_out.append)
    timestamp = max((each.timestamp for each in client.archives(bucket)), key=_age, default="")
    client.tell_notices(warn)
    if not timestamp and left_out:
        raise Damaged(f"bucket {bucket!r} has no archive that can be read: {'; '.join(left_out)}")
    for sentence in left_out:
        warn(sentence)
    if not timestamp:
        raise NotFound(f"bucket {bucket!r} has no archive: archives are made when its namespace is reaped")
    return timestamp


def check(client: "Client", found: Found) -> ArchiveVerification | None:
    """Verify the blobs of an archive that is not too large for it to be done in passing."""
    if sum(blob.bytes for blob in found.manifest.blobs) > _CHECK_AT_ONCE:
        return None
    return client.verify_archive(found.bucket_id, found.timestamp, blobs_only=True)


def outline(client: "Client", found: Found, verification: ArchiveVerification | None) -> str:
    """Put all about an archive into text, asking for what the manifest does not say."""
    return show_archive(
        found.manifest,
        digest=hashlib.sha256(found.raw).hexdigest(),
        checked=_checked(found, verification),
        deleted=_deleted(client, found.manifest),
        violations=_violations(client, found),
    )


def _runs(manifest: Manifest, log: str) -> list[ContainerLog]:
    """The run of a container that `pod.container` or `pod.container.previous` names."""
    return [
        each
        for pod in manifest.pods
        for each in pod.containers
        if log == f"{pod.name}.{each.name}{'.previous' if each.previous else ''}"
    ]


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
        return decode_violations(b"".join(client.blob(f"{found.path}/{VIOLATIONS}")), found.path)
    except (NotFound, Damaged):
        # That it is not as the manifest says is told beside; the manifest has their number.
        return []
