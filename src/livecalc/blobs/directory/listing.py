"""The blobs of a container in the order of their whole names, entering only folders that can hold one asked for."""

import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from msgspec import Struct, structs

from livecalc.blobs.directory.address import Address
from livecalc.blobs.directory.sidecar import info_of, read_sidecar
from livecalc.blobs.directory.tree import folder, open_file
from livecalc.blobs.port import BlobInfo
from livecalc.domain.errors import Damaged, NotFound

_TRIES = 3
"""A blob deleted and written anew between two looks has a record at the next one."""


class _Entry(Struct, frozen=True):
    """A file or folder; `key` are the bytes that its name, and those of all blobs below it, begin with."""

    key: bytes
    name: str
    is_folder: bool
    size: int = 0
    changed_at: float = 0.0


def walk(root: Path, container: str, prefix: str, after: str) -> Iterator[BlobInfo]:
    """Yield the blobs whose names begin with `prefix` and come after `after`, by the bytes of their names.

    A file that the store did not write, or whose record is damaged, is listed without a digest, so that it hides no
    other: whoever reads it is told. Links and what is no plain file are passed over.
    """
    wanted = _Wanted(prefix.encode(), after.encode())
    above = prefix.rpartition("/")[0]
    pending = [_runs(root, container, above, wanted)]
    while pending:
        run = next(pending[-1], None)
        if run is None:
            pending.pop()
        elif run[0].is_folder:
            pending.extend(_runs(root, container, entry.name, wanted) for entry in reversed(run))
        else:
            yield from _infos(root, container, run)


class _Wanted(Struct, frozen=True):
    prefix: bytes
    after: bytes

    def covers(self, entry: _Entry) -> bool:
        key = entry.key
        if entry.is_folder:
            past = key > self.after or self.after.startswith(key)
            return past and (key.startswith(self.prefix) or self.prefix.startswith(key))
        return key > self.after and key.startswith(self.prefix)


def _runs(root: Path, container: str, above: str, wanted: _Wanted) -> Iterator[list[_Entry]]:
    """Yield a folder's wanted entries in order, neighbours of one kind together."""
    for _, run in groupby(_entries(root, container, above, wanted), key=lambda entry: entry.is_folder):
        yield list(run)


def _entries(root: Path, container: str, above: str, wanted: _Wanted) -> list[_Entry]:
    segments = above.split("/") if above else []
    before = f"{above}/" if above else ""
    found: list[_Entry] = []
    try:
        with folder(root, (container, *segments)) as fd, os.scandir(fd) as scan:
            for item in scan:
                name = before + item.name
                if item.is_dir(follow_symlinks=False):
                    found.append(_Entry(os.fsencode(name) + b"/", name, is_folder=True))
                elif item.is_file(follow_symlinks=False):
                    found.append(_file(name, item.stat(follow_symlinks=False)))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(filter(wanted.covers, found), key=lambda entry: entry.key)


def _infos(root: Path, container: str, run: list[_Entry]) -> Iterator[BlobInfo]:
    with ExitStack() as stack:
        try:
            records = stack.enter_context(folder(root, Address(root, container, run[0].name).record_folder))
        except (FileNotFoundError, NotADirectoryError):
            records = None
        for entry in run:
            info = _info(Address(root, container, entry.name), records, entry)
            if info is not None:
                # The file's own size: whoever lists an archive sees that a blob was cut.
                yield info if info.size == entry.size else structs.replace(info, size=entry.size)


def _file(name: str, status: os.stat_result) -> _Entry:
    return _Entry(os.fsencode(name), name, is_folder=False, size=status.st_size, changed_at=status.st_mtime)


def _info(address: Address, records: int | None, entry: _Entry) -> BlobInfo | None:
    try:
        if records is not None:
            with suppress(FileNotFoundError):
                return info_of(address.name, read_sidecar(records, address.name))
        return look_up(address)
    except NotFound:
        return None
    except Damaged:
        changed_at = datetime.fromtimestamp(entry.changed_at, UTC)
        return BlobInfo(name=address.name, size=entry.size, sha256="", created_at=changed_at)


def look_up(address: Address) -> BlobInfo:
    """Read what is known of a blob. Raises NotFound and Damaged."""
    for _ in range(_TRIES):
        with open_blob(address) as file:
            size = os.fstat(file).st_size
        with suppress(FileNotFoundError, NotADirectoryError), folder(address.root, address.record_folder) as records:
            info = info_of(address.name, read_sidecar(records, address.name))
            if info.size == size:
                return info
            msg = f"blob {info.name!r} in {address.container} has {size} bytes, but {info.size} were written"
            raise Damaged(f"{msg}: restore it from a copy")
    msg = (
        f"blob {address.name!r} in {address.container} has no record: the store did not write it, or its record is lost"
    )
    raise Damaged(f"{msg}; move it out of {address.root}")


@contextmanager
def open_blob(address: Address) -> Generator[int]:
    """Open a blob's file for reading. Raises NotFound and Damaged (a link, or no plain file)."""
    try:
        with folder(address.root, address.folder) as fd:
            file = open_file(fd, address.leaf)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise address.missing() from None
    try:
        yield file
    finally:
        os.close(file)
