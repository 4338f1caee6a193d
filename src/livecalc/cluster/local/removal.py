"""Removing a folder of which a model was the master: whatever modes it left, nothing outside is followed or touched."""

import os
import shutil
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it; one that is not there is fine. Raises OSError when something cannot be removed."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError:
        _make_writable(path)
        shutil.rmtree(path)


def _make_writable(path: Path) -> None:
    """Give the owner all rights on every folder below; a folder without them cannot be emptied."""
    path.chmod(0o700)
    for folder, names, _ in os.walk(path):
        for name in names:
            inner = Path(folder, name)
            if not inner.is_symlink():
                inner.chmod(0o700)
