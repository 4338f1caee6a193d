"""The folder of the embedded platform: what lies where, and which layout it has."""

import os
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import Damaged, InvalidInput, Unavailable

SCHEMA = 1
_MARK = "home.json"
_STORE = "store.json"
_OWN = "its own folder"


class _Mark(Struct, frozen=True):
    schema: int


class _Store(Struct, frozen=True):
    store: str


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
            _write_once(root, _MARK, _Mark(SCHEMA))
        raw = (root / _MARK).read_bytes()
    except OSError as error:
        raise Unavailable(
            f"home {root} cannot be used: {error.strerror}; set LIVECALC_HOME to another folder"
        ) from None
    try:
        mark = decode_json(raw, _Mark)
    except msgspec.DecodeError:
        raise Damaged(f"{root / _MARK} is not readable; restore it, or move the home away to start anew") from None
    if mark.schema != SCHEMA:
        raise InvalidInput(
            f"home {root} has schema {mark.schema}, this version reads {SCHEMA}: "
            "use the version that wrote it, or set LIVECALC_HOME to another folder"
        )
    return Home(root)


def keep_to_store(home: Home, account: str | None) -> None:
    """See that a home's blobs stay in one store: its own folder (None), or an account by its address.

    With two, a bucket would be submitted to the one and archived to the other, and no check of either would see it.
    Raises InvalidInput, Damaged, Unavailable.
    """
    store = account or _OWN
    path = home.root / _STORE
    try:
        if not path.exists():
            _write_once(home.root, _STORE, _Store(_OWN if home.blobs.exists() else store))
        kept = decode_json(path.read_bytes(), _Store).store
    except OSError as error:
        raise Unavailable(f"home {home.root} cannot be used: {error.strerror}") from None
    except msgspec.DecodeError:
        raise Damaged(f"{path} is not readable; restore it: it says where the blobs of this home are") from None
    if kept == store:
        return
    elsewhere = "or set LIVECALC_HOME to another folder"
    if account is None:
        raise InvalidInput(
            f"home {home.root} keeps its blobs in {kept}, which is not set: set AZURE_BLOB_CONNECTION_STRING or "
            f"AZURE_BLOB_ACCOUNT_URL to it, {elsewhere}"
        )
    raise InvalidInput(
        f"home {home.root} keeps its blobs in {kept}, not in {account}: unset or correct the AZURE_BLOB_ variables, "
        f"{elsewhere}"
    )


def _write_once(root: Path, mark: str, content: Struct) -> None:
    descriptor, name = tempfile.mkstemp(dir=root, prefix=".home-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(content))
            file.flush()
            os.fsync(file.fileno())
        os.link(name, root / mark)
    except FileExistsError:
        pass  # another process was first
    finally:
        Path(name).unlink()
