"""The index of sentinel violations over all archives of a tenant: two small blobs for each archive that has any.

It is a copy: whoever asks reads it instead of thousands of archives. `reindex` holds it to them, and makes it anew.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from livecalc.blobs.port import BlobStore, read_all
from livecalc.blobs.stored import decode_stored
from livecalc.blobs.streams import closing
from livecalc.domain.buckets import is_bucket_id
from livecalc.domain.errors import AlreadyExists, Damaged, NotFound
from livecalc.domain.timestamps import parse_archive_timestamp, parse_timestamp
from livecalc.lifecycle.archive.manifest import PodViolations, encode, read_violations
from livecalc.lifecycle.archive.places import INTERNAL, Place, standard_container
from livecalc.records.bounded import map_bounded
from livecalc.telemetry.notices import notice
from livecalc.wire.diagnostics import SentinelViolation

INDEX = f"{INTERNAL}index/"
AT_ONCE = 16
_ALL = f"{INDEX}violations/"
_BY_BUCKET = f"{INDEX}violations-by-bucket/"
_NAME = re.compile(r"(\d{14})_([-a-z0-9]+)_([-0-9]+)", re.ASCII)
_NO_TIME = datetime.fromtimestamp(0, UTC)
_DIGITS = str.maketrans("0123456789", "9876543210")


class Named(Struct, frozen=True, kw_only=True):
    """What an entry's name says."""

    name: str
    path: str
    """Of its archive, `{bucket_id}/{timestamp}`."""
    moment: datetime
    """When its newest violation was extracted."""


class Entry(Struct, frozen=True, kw_only=True):
    """What the index holds of one archive: its violations, twice, under names that list the newest first."""

    names: tuple[str, str]
    """Among all archives of the tenant, and among those of its bucket."""
    violations: list[SentinelViolation]

    @property
    def content(self) -> bytes:
        """The blob; there is one way to write it."""
        return encode(self.violations)


class ViolationIndex:
    """The indexes of all tenants; also of regulatory archives, in the standard container beside the others'."""

    def __init__(self, blobs: BlobStore, prefix: str) -> None:
        self._blobs = blobs
        self._prefix = prefix

    def container(self, tenant_key: str) -> str:
        """Where a tenant's index lies."""
        return standard_container(self._prefix, tenant_key)

    async def find(
        self, tenant_key: str, *, since: datetime | None = None, bucket_id: str | None = None, limit: int
    ) -> list[SentinelViolation]:
        """Return at most `limit` violations from `since` on, newest first. Damaged entries are left out with a notice.

        Raises Unavailable.
        """
        if bucket_id is not None and not is_bucket_id(bucket_id):
            return []
        wanted: list[Named] = []
        async with closing(self._names(tenant_key, bucket_id)) as names:
            async for named in names:
                if len(wanted) == limit or (since is not None and named.moment < since):
                    break
                wanted.append(named)
        found = await map_bounded(lambda named: self._read(tenant_key, named), wanted, at_once=AT_ONCE)
        return [violation for violations in found for violation in violations][:limit]

    async def add(self, tenant_key: str, place: Place) -> int:
        """Index an archive, if that is still to be done; returns how many violations it has.

        Raises Damaged when what the archive holds of them cannot be read, Unavailable.
        """
        entry = await self.entry_of(place)
        if entry is None:
            return 0
        for name in entry.names:
            with suppress(AlreadyExists):
                await self._blobs.write(self.container(tenant_key), name, entry.content)
        return len(entry.violations)

    async def remove_entry(self, tenant_key: str, place: Place) -> None:
        """Take an archive out of the index, before it is deleted itself; nothing happens when it is not there.

        Raises Unavailable.
        """
        try:
            entry = _entry(place.path, await read_violations(self._blobs, place))
            names = entry.names if entry else ()
        except (NotFound, Damaged):
            # What the archive says is lost, and with it the entry's names: look for them by their ends.
            bucket_id = place.path.partition("/")[0]
            async with closing(self._names(tenant_key, bucket_id)) as listed:
                found = [named.name for named in [each async for each in listed] if named.path == place.path]
            names = [twin for name in found for twin in (_ALL + name.rpartition("/")[2], name)]
        for name in names:
            with suppress(NotFound):
                await self._blobs.delete(self.container(tenant_key), name)

    async def entry_of(self, place: Place) -> Entry | None:
        """Make the entry that an archive should have from what it holds; None when that is no violation.

        Raises Damaged, Unavailable.
        """
        try:
            return _entry(place.path, await read_violations(self._blobs, place))
        except NotFound:
            return None

    async def _names(self, tenant_key: str, bucket_id: str | None) -> AsyncGenerator[Named, None]:
        """Name the entries of a bucket, or of all, newest first."""
        prefix = _ALL if bucket_id is None else f"{_BY_BUCKET}{bucket_id}/"
        async with closing(self._blobs.list_blobs(self.container(tenant_key), prefix)) as listing:
            async for info in listing:
                named = parse_name(info.name)
                if named is not None:
                    yield named

    async def _read(self, tenant_key: str, named: Named) -> list[SentinelViolation]:
        try:
            raw = await read_all(self._blobs, self.container(tenant_key), named.name)
            return decode_stored(raw, list[SentinelViolation], f"blob {named.name}")
        except NotFound:
            return []  # the retention of its archive has ended meanwhile
        except Damaged as error:
            why = error.detail
            notice(f"violations of archive {named.path} are left out, `livecalc diagnostics reindex` mends that: {why}")
            return []


def _entry(path: str, pods: list[PodViolations]) -> Entry | None:
    violations = [violation for pod in pods for violation in _violations(path, pod)]
    return Entry(names=_name(path, violations), violations=violations) if violations else None


def _violations(path: str, pod: PodViolations) -> list[SentinelViolation]:
    blank = SentinelViolation(timestamp=pod.timestamp, bucket_id=path.partition("/")[0], archive=path, pod=pod.pod)
    return [
        *(
            msgspec.structs.replace(blank, offset=each.offset, expected=each.expected, actual=each.actual)
            for each in pod.violations
        ),
        *(msgspec.structs.replace(blank, malformed=text) for text in pod.malformed),
    ]


def _name(path: str, violations: list[SentinelViolation]) -> tuple[str, str]:
    """Name an entry: the digits of its time are turned round, so that stores list the newest first."""
    bucket, _, timestamp = path.partition("/")
    newest = parse_timestamp(max(each.timestamp for each in violations)) or parse_archive_timestamp(timestamp)
    inverted = f"{newest or _NO_TIME:%Y%m%d%H%M%S}".rjust(14, "0").translate(_DIGITS)
    name = f"{inverted}_{bucket}_{timestamp}"
    return f"{_ALL}{name}", f"{_BY_BUCKET}{bucket}/{name}"


def parse_name(name: str) -> Named | None:
    """Read an entry's name; None for a blob that is none."""
    folder, _, leaf = name.rpartition("/")
    match = _NAME.fullmatch(leaf)
    if match is None or f"{folder}/" not in {_ALL, f"{_BY_BUCKET}{match[2]}/"}:
        return None
    try:
        moment = datetime.strptime(match[1].translate(_DIGITS), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Named(name=name, path=f"{match[2]}/{match[3]}", moment=moment)
