"""Which files of a model's folder belong into its bundle."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from livecalc.bundles.limits import Limits
from livecalc.bundles.paths import check_collisions, check_path
from livecalc.domain.errors import InvalidInput, NotFound, TooLarge
from livecalc.domain.modelconfig import CONFIG_FILE, MANIFEST_FILE

_IGNORED = re.compile(
    r"""
    \..*                             # hidden: .git, .venv, .DS_Store, .#lock, .x.swp
    | __pycache__ | .*\.py[co]       # compiled Python
    | .*~ | \#.*\# | .*\.(bak|orig|rej|sw[a-p]|tmp)    # what editors and patches leave
    | Thumbs\.db | desktop\.ini | Icon\r
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def list_files(folder: Path, limits: Limits) -> list[str]:
    """List the files of a folder that a bundle takes, by path, in order; an old `manifest.json` is not among them.

    Raises NotFound (no such folder), InvalidInput (no configuration, a link, a special file, a path no bundle may
    have), TooLarge (more files than the limit).
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}")
    if not (folder / CONFIG_FILE).is_file():
        raise InvalidInput(f"{folder} is not a model's folder: it has no {CONFIG_FILE}")
    files: list[str] = []
    for path in _walk(folder, ""):
        if path == MANIFEST_FILE:
            continue
        files.append(check_path(path))
        if len(files) > limits.files:
            raise TooLarge(f"{folder} has more files than the limit of {limits.files:,}")
    check_collisions(files)
    return sorted(files)


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as listing:
            found = [(entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in listing]
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be read: {error.strerror}") from error
    for name, mode in sorted(found):
        if _IGNORED.fullmatch(name):
            continue
        path = prefix + name
        if stat.S_ISLNK(mode):
            raise InvalidInput(f"{path!r} is a link; a bundle has plain files only: put a copy in its place")
        if stat.S_ISDIR(mode):
            yield from _walk(folder / name, path + "/")
        elif stat.S_ISREG(mode):
            yield path
        else:
            raise InvalidInput(f"{path!r} is not a plain file; take it out of the folder")
