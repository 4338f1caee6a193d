"""Deleting one blob, its record, and the folders that it leaves empty."""

import os
import stat
from contextlib import suppress

from livecalc.blobs.directory.address import Address
from livecalc.blobs.directory.sidecar import sidecar_name
from livecalc.blobs.directory.tree import folder, locked, prune


def remove(address: Address) -> None:
    """Delete the blob first, then its record: a crash between leaves a record that nobody sees. Raises NotFound."""
    with locked(address.root, address.container):
        _unlink(address)
        with suppress(FileNotFoundError, NotADirectoryError), folder(address.root, address.record_folder) as records:
            os.unlink(sidecar_name(address.leaf), dir_fd=records)
        prune(address.root, address.folder, keep=1)
        prune(address.root, address.record_folder, keep=2)


def _unlink(address: Address) -> None:
    try:
        with folder(address.root, address.folder) as fd:
            is_folder = stat.S_ISDIR(os.stat(address.leaf, dir_fd=fd, follow_symlinks=False).st_mode)
            if not is_folder:
                os.unlink(address.leaf, dir_fd=fd)
                os.fsync(fd)
    except (FileNotFoundError, NotADirectoryError):
        raise address.missing() from None
    if is_folder:
        raise address.missing()
