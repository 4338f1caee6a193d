"""Writing one blob: into a temporary file first, then to its name by a link, which cannot replace anything.

A crash at any instant leaves the blob whole or absent. Plain and synchronous: the store and the grants share it.
"""

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from livecalc.blobs.directory.address import Address
from livecalc.blobs.directory.sidecar import Sidecar, info_of, sidecar_name
from livecalc.blobs.directory.tree import TEMPORARY, folder, locked, names_in, remove_empty, reported
from livecalc.blobs.port import BlobInfo, refuse_unexpected
from livecalc.domain.errors import InvalidInput


class Upload:
    """One blob on its way in: `append` its bytes, `publish`, and `close` whatever happened."""

    def __init__(self, address: Address, expected: str | None = None) -> None:
        self.address = address
        self._expected = expected
        self._root = address.root
        self._doing = f"store blob {address.name!r}"
        self._digest = hashlib.sha256()
        self._size = 0
        self._file: _Temporary | None = None

    def append(self, chunk: bytes) -> None:
        """Add bytes. Raises Unavailable."""
        with reported(self._root, self._doing):
            self._temporary().write(chunk)
            self._digest.update(chunk)
            self._size += len(chunk)

    def publish(self, created_at: datetime, metadata: Mapping[str, str]) -> BlobInfo:
        """Make the blob visible, whole.

        Raises AlreadyExists, InvalidInput, Damaged (a link, or not the bytes expected), Unavailable.
        """
        refuse_unexpected(self.address.name, self._expected, self.sha256)
        sidecar = Sidecar(
            size=self._size, sha256=self._digest.hexdigest(), created_at=created_at, metadata=dict(metadata)
        )
        record = _Temporary(self._root)
        try:
            with reported(self._root, self._doing):
                self._temporary().finish()
                record.open()
                record.write(msgspec.json.encode(sidecar))
                record.finish()
                self._place(self._temporary().name, record.name)
        finally:
            record.close()
        return info_of(self.address.name, sidecar)

    @property
    def sha256(self) -> str:
        """The digest of the bytes so far, hex."""
        return self._digest.hexdigest()

    @property
    def size(self) -> int:
        """The number of bytes so far."""
        return self._size

    def close(self) -> None:
        """Remove what is temporary."""
        if self._file is not None:
            self._file.close()

    def _temporary(self) -> "_Temporary":
        if self._file is None:
            self._file = _Temporary(self._root)
            self._file.open()
        return self._file

    def _place(self, data: str, record: str) -> None:
        address = self.address
        leaf = address.leaf
        try:
            with (
                folder(self._root, (TEMPORARY,)) as source,
                locked(self._root, address.container),
                folder(self._root, address.folder, make=True) as target,
                folder(self._root, address.record_folder, make=True) as records,
            ):
                self._refuse_existing(target)
                os.rename(record, sidecar_name(leaf), src_dir_fd=source, dst_dir_fd=records)
                os.fsync(records)
                os.link(data, leaf, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
                os.fsync(target)
        except FileExistsError:
            raise address.taken() from None
        except NotADirectoryError:
            raise self._in_the_way("a part of its path is a blob itself") from None

    def _refuse_existing(self, target: int) -> None:
        leaf = self.address.leaf
        try:
            mode = os.stat(leaf, dir_fd=target, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(mode):
            raise self.address.taken()
        remove_empty(target, leaf)
        with suppress(FileNotFoundError):
            os.stat(leaf, dir_fd=target, follow_symlinks=False)
            raise self._in_the_way("its name is the folder of other blobs")

    def _in_the_way(self, reason: str) -> InvalidInput:
        return InvalidInput(f"blob {self.address.name!r} cannot be stored in {self.address.container}: {reason}")


class _Temporary:
    """A file in the folder of temporary files; its lock tells the sweep that its writer lives."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._fd = -1
        self.name = ""

    def open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with folder(self._root, (TEMPORARY,), make=True) as fd:
            while True:
                self.name = f"{os.getpid()}-{secrets.token_hex(8)}"
                self._fd = os.open(self.name, flags, 0o600, dir_fd=fd)
                fcntl.flock(self._fd, fcntl.LOCK_EX)
                if os.fstat(self._fd).st_nlink:
                    return
                os.close(self._fd)  # a sweep came between creation and lock
                self._fd = -1

    def write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def finish(self) -> None:
        os.fsync(self._fd)

    def close(self) -> None:
        if self._fd < 0:
            return
        with suppress(OSError), folder(self._root, (TEMPORARY,)) as fd:
            os.unlink(self.name, dir_fd=fd)
        os.close(self._fd)
        self._fd = -1


def sweep_temporaries(root: Path) -> None:
    """Remove the temporary files of writers that died; those of living ones are locked. Never raises OSError."""
    with suppress(OSError), folder(root, (TEMPORARY,)) as fd:
        for name in names_in(fd):
            with suppress(OSError):
                _remove_unlocked(fd, name)


def _remove_unlocked(folder_fd: int, name: str) -> None:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder_fd)
    finally:
        os.close(file)
