"""Grants of the directory store: `file:` URLs signed for one blob and one verb, and the client that acts on them.

Light: a worker imports this and nothing of the event loop. The key lies in the store's own folder, so a grant keeps
an honest worker to its blob; it does not shield the store from a program that runs as the same user.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote_to_bytes, urlencode, urlsplit

from msgspec import Struct

from livecalc.blobs.directory.address import Address
from livecalc.blobs.directory.listing import look_up, open_blob
from livecalc.blobs.directory.tree import KEYS, folder, open_file, reported
from livecalc.blobs.directory.upload import Upload
from livecalc.blobs.names import check_blob, check_container
from livecalc.blobs.port import Verb
from livecalc.domain.errors import Damaged, Forbidden, InvalidInput, TooLarge, Unavailable

_KEY_FILE = "grants"
_KEY_BYTES = 32
_CHUNK = 1024 * 1024


class Terms(Struct, frozen=True, kw_only=True):
    """What a grant allows: the verb, until when (seconds of the epoch), and the most bytes that `create` may store."""

    verb: Verb
    expires: int
    limit: int


def sign(address: Address, terms: Terms) -> str:
    """Sign a URL, with a key made at the first call. Raises OSError."""
    query = {
        "verb": terms.verb.value,
        "segments": address.name.count("/") + 1,
        "expires": terms.expires,
        "limit": terms.limit,
        "signature": _signature(_make_key(address.root), address, terms),
    }
    return f"file://{quote(os.fsencode(address.root / address.container / address.name))}?{urlencode(query)}"


class FileGrants:
    """The grant client for `file:` URLs."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def fetch(self, url: str, target: Path, *, limit: int) -> int:
        """Copy the grant's blob into a file. See the port."""
        address = self._verified(url, Verb.READ).address
        with reported(address.root, f"read blob {address.name!r}"):
            size = look_up(address).size
            if size > limit:
                raise TooLarge(f"blob {address.name!r} has {size} bytes, more than the limit of {limit}")
            with open_blob(address) as source:
                _copy_out(source, target, address)
        return size

    def create(self, url: str, source: Path, *, sha256: str) -> None:
        """Store a file as the grant's blob. See the port; Damaged when its bytes do not have that digest."""
        grant = self._verified(url, Verb.CREATE)
        upload = Upload(grant.address)
        try:
            _copy_in(source, upload, grant.terms.limit)
            if upload.sha256 != sha256:
                raise Damaged(f"{source} changed while it was stored as {grant.address.name!r}: its SHA-256 is another")
            upload.publish(datetime.now(UTC), {})
        finally:
            upload.close()

    def _verified(self, url: str, verb: Verb) -> "_Grant":
        grant = _parse(url)
        what = f"the grant for blob {grant.address.name!r}"
        try:
            key = _read_key(grant.address.root)
        except OSError:
            raise Forbidden(f"{what} names no blob store of this machine") from None
        if not hmac.compare_digest(_signature(key, grant.address, grant.terms), grant.signature):
            raise Forbidden(f"{what} is forged, or made for another blob")
        if grant.terms.verb is not verb:
            raise Forbidden(f"{what} allows to {grant.terms.verb} it, not to {verb} it")
        if self._now() >= grant.terms.expires:
            raise Forbidden(f"{what} has expired")
        return grant


class _Grant(Struct, frozen=True):
    """What a URL says, not yet believed."""

    address: Address
    terms: Terms
    signature: str


def _parse(url: str) -> _Grant:
    try:
        parts = urlsplit(url)
        query = {key: value for key, (value,) in parse_qs(parts.query, strict_parsing=True).items()}
        path = os.fsdecode(unquote_to_bytes(parts.path))
        above, container, *segments = path.rsplit("/", int(query["segments"]) + 1)
        grant = _Grant(
            Address(Path(above), check_container(container), check_blob("/".join(segments))),
            Terms(verb=Verb(query["verb"]), expires=int(query["expires"]), limit=int(query["limit"])),
            query["signature"].encode("ascii").decode(),
        )
    except (ValueError, KeyError, OverflowError, InvalidInput):
        raise _unreadable() from None
    if parts.scheme != "file" or parts.netloc or not above.startswith("/"):
        raise _unreadable()
    return grant


def _unreadable() -> Forbidden:
    return Forbidden("the grant is no signed file: URL of a blob; ask for a new one")


def _signature(key: bytes, address: Address, terms: Terms) -> str:
    parts = [
        "livecalc grant 1",
        terms.verb.value,
        address.container,
        address.name,
        str(terms.expires),
        str(terms.limit),
    ]
    return hmac.new(key, "\n".join(parts).encode(), hashlib.sha256).hexdigest()


def _read_key(root: Path) -> bytes:
    with folder(root, (KEYS,)) as fd:
        file = open_file(fd, _KEY_FILE)
    try:
        key = os.read(file, _KEY_BYTES + 1)
    finally:
        os.close(file)
    if len(key) != _KEY_BYTES:
        raise Damaged(f"the key of grants in {root / KEYS} is damaged: remove it, and a new one is made")
    return key


def _make_key(root: Path) -> bytes:
    """Read the key, or make it; processes at once agree, because a link cannot replace a file."""
    with suppress(FileNotFoundError):
        return _read_key(root)
    with folder(root, (KEYS,), make=True) as fd:
        draft = f"{_KEY_FILE}.{secrets.token_hex(8)}"
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=fd)
        try:
            os.write(file, secrets.token_bytes(_KEY_BYTES))
            os.fsync(file)
            with suppress(FileExistsError):
                os.link(draft, _KEY_FILE, src_dir_fd=fd, dst_dir_fd=fd)
                os.fsync(fd)
        finally:
            os.close(file)
            os.unlink(draft, dir_fd=fd)
    return _read_key(root)


def _copy_out(source: int, target: Path, address: Address) -> None:
    """Copy into a neighbour of the target first: a half copy never has its name."""
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            while chunk := os.read(source, _CHUNK):
                file.write(chunk)
        draft.replace(target)
    except OSError as error:
        raise Unavailable(f"blob {address.name!r} cannot be copied to {target}: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def _copy_in(source: Path, upload: Upload, limit: int) -> None:
    try:
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK):
                upload.append(chunk)
                if upload.size > limit:
                    raise TooLarge(f"{source} is larger than the {limit} bytes that its grant allows")
    except OSError as error:
        raise Unavailable(f"{source} cannot be read: {error.strerror}") from error
