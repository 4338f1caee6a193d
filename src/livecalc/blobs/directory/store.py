"""The blob store on a local disk; what the port promises, over `upload`, `listing` and `grants`."""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

from livecalc.blobs.directory.address import Address
from livecalc.blobs.directory.grants import Terms, sign
from livecalc.blobs.directory.listing import look_up, open_blob, walk
from livecalc.blobs.directory.removal import remove
from livecalc.blobs.directory.threads import in_thread
from livecalc.blobs.directory.tree import reported
from livecalc.blobs.directory.upload import Upload, sweep_temporaries
from livecalc.blobs.names import check_blob, check_container, check_metadata, check_prefix
from livecalc.blobs.port import BlobInfo, Body, Verb
from livecalc.blobs.streams import closing
from livecalc.domain.errors import InvalidInput, NotFound

CHUNK = 1024 * 1024
_FIRST_BATCH = 64
_BATCH = 1024


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DirectoryStore:
    """Blobs under a folder, which is made at the first write. Many processes may use one folder."""

    def __init__(self, root: Path, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._root = root.absolute()
        self._now = now
        self._is_swept = False

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._root)

    async def write(  # noqa: PLR0913  (a name, a body, and three things said of them)
        self,
        container: str,
        name: str,
        body: Body,
        *,
        metadata: Mapping[str, str] | None = None,
        locked_until: datetime | None = None,
        sha256: str | None = None,
    ) -> BlobInfo:
        """Store a blob. See the port; InvalidInput also when it, or a part of its path, is blob and folder at once."""
        async with closing(body):
            checked = check_metadata(metadata)
            if locked_until is not None:
                raise self._cannot_lock(container, name)
            upload = Upload(self._address(container, name), sha256)
            if isinstance(body, bytes):
                return await in_thread(partial(self._write_at_once, upload, body, checked))
            return await self._write_stream(upload, body, checked)

    async def _write_stream(self, upload: Upload, body: AsyncIterator[bytes], metadata: Mapping[str, str]) -> BlobInfo:
        try:
            await in_thread(partial(self._refuse_existing, upload.address))
            async with closing(_coalesced(body)) as chunks:
                async for chunk in chunks:
                    await in_thread(partial(upload.append, chunk))
            return await in_thread(partial(upload.publish, self._now(), metadata))
        finally:
            await in_thread(upload.close)

    async def lock(self, container: str, name: str, until: datetime) -> None:  # noqa: ARG002  (whatever it is, it cannot be had)
        """Raise InvalidInput: whoever may write into a folder may delete from it."""
        raise self._cannot_lock(container, name)

    async def protection(self, container: str) -> str | None:
        """Say that there is none. See the port."""
        return (
            f"{container} would lie in the folder {self._root}, and a folder cannot protect anything: "
            "keep blobs in Azure Blob Storage (AZURE_BLOB_CONNECTION_STRING or AZURE_BLOB_ACCOUNT_URL)"
        )

    def _cannot_lock(self, container: str, name: str) -> InvalidInput:
        return InvalidInput(
            f"blob {name!r} cannot be locked in {container}: a folder cannot protect anything, use Azure Blob Storage"
        )

    def _address(self, container: str, name: str) -> Address:
        return Address(self._root, check_container(container), check_blob(name))

    def _write_at_once(self, upload: Upload, body: bytes, metadata: Mapping[str, str]) -> BlobInfo:
        self._sweep_once()
        try:
            for start in range(0, len(body), CHUNK):
                upload.append(body[start : start + CHUNK])
            return upload.publish(self._now(), metadata)
        finally:
            upload.close()

    def _refuse_existing(self, address: Address) -> None:
        """Say early what the publishing would say, before a long body is stored for nothing."""
        self._sweep_once()
        with suppress(NotFound), reported(self._root, f"look for blob {address.name!r}"):
            look_up(address)
            raise address.taken()

    def _sweep_once(self) -> None:
        if not self._is_swept:
            self._is_swept = True
            sweep_temporaries(self._root)

    async def stat(self, container: str, name: str) -> BlobInfo:
        """Tell what is known of a blob. Raises NotFound, and Damaged when its record is lost or does not fit it."""
        return await in_thread(partial(self._stat, self._address(container, name)))

    def _stat(self, address: Address) -> BlobInfo:
        with reported(self._root, f"read blob {address.name!r}"):
            return look_up(address)

    async def read(
        self, container: str, name: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Stream a blob in pieces of at most 1 MiB. Raises NotFound and Damaged, as `stat`."""
        reader = _Reader(self._address(container, name), offset, length)
        try:
            await in_thread(reader.open)
            while chunk := await in_thread(reader.next_chunk):
                yield chunk
        finally:
            reader.close()

    async def list_blobs(self, container: str, prefix: str = "", *, after: str = "") -> AsyncIterator[BlobInfo]:
        """List blobs as the port says; one that `stat` says is damaged has no digest here."""
        found = walk(self._root, check_container(container), check_prefix(prefix), after)
        size = _FIRST_BATCH
        while batch := await in_thread(partial(self._next_batch, found, size)):
            for info in batch:
                yield info
            size = _BATCH

    def _next_batch(self, found: Iterator[BlobInfo], size: int) -> list[BlobInfo]:
        with reported(self._root, "list blobs"):
            return list(islice(found, size))

    async def list_containers(self, prefix: str = "") -> list[str]:
        """Name the containers that begin with a prefix, in order."""
        return await in_thread(partial(self._list_containers, prefix))

    def _list_containers(self, prefix: str) -> list[str]:
        with reported(self._root, "list containers"), suppress(FileNotFoundError), os.scandir(self._root) as scan:
            return sorted(
                item.name
                for item in scan
                if item.name.startswith(prefix) and not item.name.startswith(".") and item.is_dir(follow_symlinks=False)
            )
        return []

    async def delete(self, container: str, name: str) -> None:
        """Delete a blob and the folders that it leaves empty. Raises NotFound."""
        await in_thread(partial(self._delete, self._address(container, name)))

    def _delete(self, address: Address) -> None:
        with reported(self._root, f"delete blob {address.name!r}"):
            remove(address)

    async def grant(self, container: str, name: str, verb: Verb, *, expires_at: datetime, limit: int) -> str:
        """Sign a `file:` URL; `grants.FileGrants` acts on it."""
        terms = Terms(verb=verb, expires=int(expires_at.timestamp()), limit=limit)
        return await in_thread(partial(self._grant, self._address(container, name), terms))

    def _grant(self, address: Address, terms: Terms) -> str:
        with reported(self._root, "make or read the key of grants"):
            return sign(address, terms)

    async def close(self) -> None:
        """Nothing is held open."""


class _Reader:
    """An open blob and a position in it."""

    def __init__(self, address: Address, offset: int, length: int | None) -> None:
        self._address = address
        self._offset = offset
        self._length = length
        self._end = 0
        self._open = ExitStack()
        self._file = -1

    def open(self) -> None:
        with reported(self._address.root, f"read blob {self._address.name!r}"):
            size = look_up(self._address).size
            self._file = self._open.enter_context(open_blob(self._address))
        self._end = size if self._length is None else min(size, self._offset + self._length)

    def next_chunk(self) -> bytes:
        with reported(self._address.root, f"read blob {self._address.name!r}"):
            chunk = os.pread(self._file, max(0, min(CHUNK, self._end - self._offset)), self._offset)
        self._offset += len(chunk)
        return chunk

    def close(self) -> None:
        self._open.close()


async def _coalesced(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join small pieces: a hop to a thread for each line of a log would cost more than the disk."""
    waiting: list[bytes] = []
    size = 0
    async for chunk in body:
        waiting.append(chunk)
        size += len(chunk)
        if size >= CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
