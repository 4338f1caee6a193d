"""Fetch the blobs of an archive into a folder: goes on where it was cut off, and checks every byte at the end."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from livecalc.blobs.digest import sha256_of
from livecalc.blobs.names import check_blob
from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import Conflict, Damaged, InvalidInput, NotFound, Unavailable
from livecalc.lifecycle.archive.manifest import BlobEntry
from livecalc.lifecycle.archive.places import MANIFEST

if TYPE_CHECKING:
    from livecalc.cli.archive import Found
    from livecalc.client import Client

PART = ".part"
"""How the name ends of a file that is not whole yet; no blob of an archive ends so."""
_TRIES = 5
"""How often a blob whose stream is cut off is gone on with, each time that some of it came."""


class Fetched(Struct, frozen=True, kw_only=True):
    """What is in the folder now, and what was fetched for that."""

    archive: str
    folder: str
    blobs: int
    """That the manifest lists; the manifest itself is not counted."""
    bytes: int
    """Of these."""
    whole: int
    """How many of these are in the folder, as the manifest says."""
    fetched: int
    """How many of those came now."""
    differences: list[str]


def fetch(client: "Client", found: "Found", target: Path, advance: Callable[[int, int], None]) -> Fetched:
    """Fetch what is not there yet, the manifest last; `advance` is told the bytes that are there, and all.

    A blob that differs from the manifest is named, and left as `.part`. Raises Damaged for a manifest that lists what
    no archive holds, and Conflict for a folder with another archive or any other file, before anything is written;
    Unavailable when the stream is cut off: the next call goes on.
    """
    _refuse_another(target, found)
    blobs = found.manifest.blobs
    paths = {blob.name: _path(target, blob.name) for blob in blobs}
    _refuse_strangers(target, found.path, {*paths.values(), target / MANIFEST})
    whole = sum(blob.bytes for blob in blobs)
    differences: dict[str, str] = {}
    came: set[str] = set()
    done = 0
    advance(0, whole)
    for blob in blobs:
        if not is_there(paths[blob.name], blob):
            transfer = _Transfer(client, found.path, blob, paths[blob.name])
            problem = transfer.run(partial(_advance, advance, done, whole))
            differences |= {blob.name: problem} if problem else {}
            came.add(blob.name)
        done += blob.bytes
        advance(done, whole)
    # Once more, as they lie on the disk now: this is what the folder is worth.
    for blob in blobs:
        if blob.name not in differences and not is_there(paths[blob.name], blob):
            differences[blob.name] = f"{blob.name} was changed while others were fetched: {paths[blob.name]}"
    target.mkdir(parents=True, exist_ok=True)
    _replace(target / MANIFEST, found.raw)
    return Fetched(
        archive=found.path,
        folder=str(target),
        blobs=len(blobs),
        bytes=whole,
        whole=len(blobs) - len(differences),
        fetched=len(came - differences.keys()),
        differences=list(differences.values()),
    )


def is_there(path: Path, blob: BlobEntry) -> bool:
    """Tell whether a file is a blob, by its size and digest."""
    return path.is_file() and path.stat().st_size == blob.bytes and sha256_of(path) == blob.sha256


class _Name(Struct, frozen=True, kw_only=True):
    """As much of a manifest as says of which archive it is."""

    bucket_id: str
    timestamp: str


class _Transfer:
    """One blob on its way into its file."""

    def __init__(self, client: "Client", archive: str, blob: BlobEntry, path: Path) -> None:
        self._client = client
        self._archive = archive
        self._blob = blob
        self._path = path
        self._part = path.with_name(path.name + PART)

    def run(self, advance: Callable[[int], None]) -> str | None:
        """Fetch it, and give it its name; else say what is wrong with it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        resumed = self._size() > 0
        try:
            if not is_there(self._part, self._blob):
                self._receive(advance)
            if resumed and not is_there(self._part, self._blob):
                # What was there was of something else: from the beginning, once.
                self._part.unlink()
                self._receive(advance)
        except NotFound:
            self._part.unlink(missing_ok=True)
            return f"{self._blob.name} is missing, and the manifest lists it"
        except Damaged as error:
            return f"{self._blob.name} is damaged: {error.detail}"
        if not is_there(self._part, self._blob):
            return f"{self._blob.name} is not what the manifest says; what came is {self._part}"
        self._part.replace(self._path)
        return None

    def _receive(self, advance: Callable[[int], None]) -> None:
        if self._size() >= self._blob.bytes:
            self._part.unlink(missing_ok=True)
        for left in range(_TRIES, -1, -1):
            before = self._size()
            try:
                self._append(before, advance)
            except Unavailable as error:
                if not left or self._size() == before:
                    raise Unavailable(f"{error.detail}; the same command goes on where this one stopped") from None
            else:
                return

    def _append(self, offset: int, advance: Callable[[int], None]) -> None:
        with self._part.open("ab") as file:
            if offset < self._blob.bytes or not self._blob.bytes:
                for chunk in self._client.blob(f"{self._archive}/{self._blob.name}", offset=offset):
                    offset += file.write(chunk)
                    advance(min(offset, self._blob.bytes))

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0


def _refuse_another(target: Path, found: "Found") -> None:
    """Raise Conflict for a folder whose manifest is not that of the archive, whatever else it may be."""
    there = target / MANIFEST
    if not there.exists():
        return
    try:
        manifest = decode_json(there.read_bytes(), _Name)
        is_same = f"{manifest.bucket_id}/{manifest.timestamp}" == found.path
    except msgspec.DecodeError:
        is_same = False
    if not is_same:
        raise Conflict(f"{target} holds the {MANIFEST} of something else than {found.path}: fetch into another folder")


def _refuse_strangers(target: Path, archive: str, known: set[Path]) -> None:
    """Raise Conflict for a folder with a file of something else: a download that was cut off left no manifest there."""
    for folder, _, names in os.walk(target):
        for name in sorted(names):
            if Path(folder, name) not in known and Path(folder, name.removesuffix(PART)) not in known:
                there = Path(folder, name).relative_to(target)
                raise Conflict(f"{target} holds {there}, which is not of {archive}: fetch into another folder")


def _path(target: Path, name: str) -> Path:
    """Where a blob goes: below the folder, whatever its name is, and whatever links are there. Raises Damaged."""
    try:
        path = target / check_blob(name)
    except InvalidInput as error:
        raise Damaged(f"the manifest lists what is no blob: {error.detail}") from None
    if name == MANIFEST or name.endswith(PART):
        raise Damaged(f"the manifest lists {name!r}, which no archive holds")
    if not all(each.resolve().is_relative_to(target.resolve()) for each in (path, path.with_name(path.name + PART))):
        raise InvalidInput(f"{path} leads out of {target} by a link: take the link away, or fetch into another folder")
    return path


def _advance(advance: Callable[[int, int], None], before: int, whole: int, held: int) -> None:
    advance(before + held, whole)


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + PART)
    part.write_bytes(content)
    part.replace(path)
