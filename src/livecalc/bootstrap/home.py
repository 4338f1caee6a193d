"""The folder of the embedded platform: what lies where, and which layout it has."""

import os
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from livecalc.domain.errors import Damaged, InvalidInput, Unavailable

SCHEMA = 1
_MARK = "home.json"


class _Mark(Struct, frozen=True):
    schema: int


class Home(Struct, frozen=True):
    """Paths below LIVECALC_HOME."""

    root: Path

    @property
    def cluster(self) -> Path:
        """The local cluster's folder."""
        return self.root / "cluster"

    @property
    def blobs(self) -> Path:
        """The blob store's folder."""
        return self.root / "blobs"

    @property
    def identity(self) -> Path:
        """The key pair's folder."""
        return self.root / "identity"


def open_home(root: Path) -> Home:
    """Make or check a home. Raises InvalidInput (another layout), Damaged, Unavailable (not writable)."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (root / _MARK).exists():
            _mark(root)
        raw = (root / _MARK).read_bytes()
    except OSError as error:
        raise Unavailable(
            f"home {root} cannot be used: {error.strerror}; set LIVECALC_HOME to another folder"
        ) from None
    try:
        mark = msgspec.json.decode(raw, type=_Mark)
    except msgspec.DecodeError:
        raise Damaged(f"{root / _MARK} is not readable; restore it, or move the home away to start anew") from None
    if mark.schema != SCHEMA:
        raise InvalidInput(
            f"home {root} has schema {mark.schema}, this version reads {SCHEMA}: "
            "use the version that wrote it, or set LIVECALC_HOME to another folder"
        )
    return Home(root)


def _mark(root: Path) -> None:
    descriptor, name = tempfile.mkstemp(dir=root, prefix=".home-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(_Mark(SCHEMA)))
            file.flush()
            os.fsync(file.fileno())
        os.link(name, root / _MARK)
    except FileExistsError:
        pass  # another process was first, with the same content
    finally:
        Path(name).unlink()
