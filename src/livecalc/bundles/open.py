"""Open a bundle: verify it whole, then lay its files into an empty folder."""

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from livecalc.bundles.archive import Entry, read_entries, stream
from livecalc.bundles.limits import Limits
from livecalc.bundles.verify import open_archive, verify_file
from livecalc.domain.errors import Damaged, InvalidInput, Unavailable
from livecalc.domain.modelconfig import Config

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


def open_bundle(path: Path, folder: Path, limits: Limits, *, expected: str | None = None) -> Config:
    """Extract a bundle into a folder that is empty or not there yet; files are 0600, folders 0700.

    Raises whatever `verify` raises, before anything is written; Damaged (its hash is not `expected`, or the file
    changed while it was read), InvalidInput (the folder is not empty), Unavailable (it cannot be written).
    """
    with open_archive(path) as file:
        bundle = verify_file(file, path, limits)
        if expected is not None and bundle.model_bundle_hash != expected:
            raise Damaged(f"bundle {expected} is damaged: its bytes hash to {bundle.model_bundle_hash}")
        digests = {entry.path: entry.sha256 for entry in bundle.files}
        entries = read_entries(file, limits)
        try:
            _make_empty(folder)
            for entry in entries.values():
                _extract(file, entry, folder, digests.get(entry.path))
        except OSError as error:
            raise Unavailable(f"bundle {path} cannot be opened in {folder}: {error.strerror}") from error
    return bundle.config


def _make_empty(folder: Path) -> None:
    folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InvalidInput(f"folder {folder} is not empty; a bundle is opened into an empty one")


def _extract(file: BinaryIO, entry: Entry, folder: Path, expected: str | None) -> None:
    """Write one file, and hash again what is written: the archive may have changed since it was verified."""
    target = folder / entry.path
    target.parent.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _FILE_MODE), "wb") as out:
        for chunk in stream(file, entry):
            digest.update(chunk)
            out.write(chunk)
    if expected is not None and digest.hexdigest() != expected:
        raise Damaged(f"{entry.path!r} changed while its bundle was opened")
