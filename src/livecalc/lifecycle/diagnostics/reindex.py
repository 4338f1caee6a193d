"""Compare the index of violations with the archives it is a copy of, and make it equal to them."""

from contextlib import suppress

from msgspec import Struct

from livecalc.blobs.port import BlobStore, read_all
from livecalc.blobs.streams import closing
from livecalc.domain.errors import AlreadyExists, Damaged, NotFound
from livecalc.lifecycle.archive.index import AT_ONCE, INDEX, Entry, ViolationIndex, parse_name
from livecalc.lifecycle.archive.manifest import encode
from livecalc.lifecycle.archive.places import MANIFEST, VIOLATIONS, Place, bucket_places, path_order, split_name
from livecalc.records.bounded import map_bounded
from livecalc.wire.diagnostics import Reindexed

_ROUNDS = 3
"""An archive that comes or goes while its tenant's index is made anew is met in the next one."""
_NONE = len(encode([]))
"""Bytes of `sentinel-violations.json` where there is none."""


class _Findings(Struct, frozen=True, kw_only=True):
    """The index against the archives, by their paths."""

    right: int
    missing: list[Entry]
    wrong: list[Entry]
    extra: dict[str, str]
    """Names of blobs that should not be there, and the archives that they speak of."""
    unreadable: dict[str, str]
    """Why, by the path of the archive. What the index holds of such a one is kept: it may be the last copy."""
    archives: int
    violations: int

    @property
    def equal(self) -> bool:
        return not (self.missing or self.wrong or self.extra or self.unreadable)

    @property
    def differences(self) -> list[str]:
        return [
            *(f"{_path(entry)} is missing" for entry in self.missing),
            *(f"{_path(entry)} is not what its archive says" for entry in self.wrong),
            *(f"{path} has an entry, and no archive with violations" for path in sorted(set(self.extra.values()))),
            *self.unreadable.values(),
        ]


async def reindex(blobs: BlobStore, prefix: str, tenant_key: str, *, repair: bool) -> Reindexed:
    """Read all archives and the whole index, and compare; `repair` makes the index anew and compares again.

    Raises Unavailable.
    """
    index = ViolationIndex(blobs, prefix)
    found = now = await _compare(blobs, index, prefix, tenant_key)
    for _ in range(_ROUNDS if repair else 0):
        if now.equal:
            break
        await _mend(blobs, index.container(tenant_key), now)
        now = await _compare(blobs, index, prefix, tenant_key)
    return Reindexed(
        equal=now.equal,
        archives=found.archives,
        with_violations=found.right + len(found.missing) + len(found.wrong),
        violations=found.violations,
        right=found.right,
        missing=len(found.missing),
        wrong=len(found.wrong),
        extra=len(set(found.extra.values())),
        differences=found.differences,
    )


async def _compare(blobs: BlobStore, index: ViolationIndex, prefix: str, tenant_key: str) -> _Findings:
    # The index first: an archive that is made meanwhile is then missing from it, and no entry of one is extra.
    container = index.container(tenant_key)
    async with closing(blobs.list_blobs(container, INDEX)) as listing:
        there = {info.name: _path_in(info.name) async for info in listing}
    expected: list[Entry] = []
    unreadable: dict[str, str] = {}

    async def make(place: Place) -> None:
        try:
            entry = await index.entry_of(place)
        except Damaged as error:
            unreadable[place.path] = error.detail
            return
        if entry is not None:
            expected.append(entry)

    async def is_right(entry: Entry) -> bool | None:
        """None when it is missing, or half of it."""
        if not set(entry.names) <= there.keys():
            return None
        try:
            return all([await read_all(blobs, container, name) == entry.content for name in entry.names])
        except (NotFound, Damaged):
            return False

    archives, violated = await _places(blobs, prefix, tenant_key)
    await map_bounded(make, violated, at_once=AT_ONCE)
    expected.sort(key=_path)
    states = list(zip(expected, await map_bounded(is_right, expected, at_once=AT_ONCE), strict=True))
    wanted = {name for entry in expected for name in entry.names}
    return _Findings(
        right=sum(state is True for _, state in states),
        missing=[entry for entry, state in states if state is None],
        wrong=[entry for entry, state in states if state is False],
        extra={name: path for name, path in there.items() if name not in wanted and path not in unreadable},
        unreadable=unreadable,
        archives=archives,
        violations=sum(len(entry.violations) for entry in expected),
    )


async def _places(blobs: BlobStore, prefix: str, tenant_key: str) -> tuple[int, list[Place]]:
    """How many archives a tenant has, and those that hold violations, by the sizes of their blobs."""
    archives = 0
    found: list[Place] = []
    for top in bucket_places(prefix, tenant_key, None):
        whole: set[str] = set()
        violated: set[str] = set()
        async with closing(blobs.list_blobs(top.container, top.folder)) as listing:
            async for info in listing:
                path, inner = split_name(info.name.removeprefix(top.folder))
                if inner == MANIFEST:
                    whole.add(path)
                elif inner == VIOLATIONS and info.size > _NONE:
                    violated.add(path)
        archives += len(whole)
        found += [
            Place(container=top.container, folder=f"{top.folder}{path}/")
            for path in sorted(whole & violated, key=path_order)
        ]
    return archives, found


async def _mend(blobs: BlobStore, container: str, findings: _Findings) -> None:
    async def remove(name: str) -> None:
        with suppress(NotFound):
            await blobs.delete(container, name)

    async def replace(entry: Entry) -> None:
        for name in entry.names:
            await remove(name)
            with suppress(AlreadyExists):
                await blobs.write(container, name, entry.content)

    await map_bounded(remove, findings.extra, at_once=AT_ONCE)
    await map_bounded(replace, [*findings.missing, *findings.wrong], at_once=AT_ONCE)


def _path_in(name: str) -> str:
    named = parse_name(name)
    return name if named is None else named.path


def _path(entry: Entry) -> str:
    return entry.violations[0].archive
