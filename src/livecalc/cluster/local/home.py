"""Where a local cluster keeps its files, and whether that place will do. Not what is in them."""

import errno
import os
import sys
from pathlib import Path

from livecalc.domain.errors import LivecalcError, Unavailable

_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "lustre", "beegfs", "gpfs", "ocfs2", "gfs2"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.blobfuse2"},
)
"""File systems on which SQLite's shared memory or flock do not hold between machines (sqlite.org/wal.html, 1)."""

_LEAST_ROOM = 64 << 10
"""Bytes; what SQLite needs beside its database to open it."""


class Home:
    """The files of one cluster."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.database = self.root / "cluster.db"
        self.node_lock = self.root / "node.lock"
        self.launch_lock = self.root / "launch.lock"
        self.bell = self.root / "node.bell"
        self.node_log = self.root / "node.log"

    def pod(self, uid: str) -> "PodFolder":
        """The folder of one pod."""
        return PodFolder(self.root / "pods" / uid)

    def volume(self, name: str) -> Path:
        """The folder of one volume."""
        return self.root / "volumes" / name

    def prepare(self) -> None:
        """Make the folders, for this user alone. Raises Unavailable when the place will not do."""
        try:
            for folder in (self.root, self.root / "pods", self.root / "volumes"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise explain_os_error(error, self.root) from error
        kind = file_system(self.root)
        if is_network(kind):
            raise Unavailable(
                f"{self.root} is on a network file system ({kind}), where the local cluster's locks do not hold; "
                "set LIVECALC_HOME to a folder on a local disk",
            )


class PodFolder:
    """The files of one pod; they go with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = path / "lock"
        self.log = path / "main.log"
        self.termination = path / "termination"
        self.scratch = path / "scratch"


def is_network(kind: str) -> bool:
    """Tell whether a type of file system is one that machines share."""
    return kind in _NETWORK


def file_system(path: Path) -> str:
    """The type of the file system that holds an existing path; empty where the system does not say."""
    if sys.platform != "linux":
        return ""
    real = os.path.realpath(path)
    longest, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        point = _unescape(left.split(" ")[4])
        if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= len(longest):
            longest, kind = point, right.split(" ")[0]
    return kind


def _unescape(text: str) -> str:
    """Undo the octal escapes of mountinfo (proc(5))."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def is_full(path: Path) -> bool:
    """Tell whether the file system that holds an existing path has no room for a database to be opened."""
    state = os.statvfs(path)
    return state.f_bavail * state.f_frsize < _LEAST_ROOM


def explain_os_error(error: OSError, path: Path) -> LivecalcError:
    """Say in one sentence what a failed file operation means for the user."""
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return Unavailable(f"{path} cannot be written ({error.strerror}); set LIVECALC_HOME to a folder of yours")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Unavailable(f"the disk that holds {path} is full; make room and try again, nothing was changed")
    return Unavailable(f"{path} cannot be used: {error.strerror or error}")
