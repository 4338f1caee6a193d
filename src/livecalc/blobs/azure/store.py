"""The blob store in an account of Azure Blob Storage: what the port promises, over the vendor's client."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit

from azure.core.exceptions import HttpResponseError, IncompleteReadError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobType
from azure.storage.blob.aio import BlobClient, BlobServiceClient, StorageStreamDownloader

from livecalc.blobs.azure.failures import NO_CONTAINER, absent, code_of, reported, taken
from livecalc.blobs.azure.grants import Signer
from livecalc.blobs.azure.locks import extend, lock_until, refuse_locked, unprovisioned, what_is_missing
from livecalc.blobs.azure.rest import Rest, Seen
from livecalc.blobs.azure.upload import ONE_REQUEST, SHA256, UPLOAD, Upload, pieces
from livecalc.blobs.names import check_blob, check_container, check_metadata, check_prefix
from livecalc.blobs.port import BlobInfo, Body, Verb
from livecalc.blobs.streams import closing
from livecalc.domain.errors import Damaged, Unavailable
from livecalc.domain.shelves import is_regulatory

_OPENINGS = 4
"""How often a read is begun."""
_BLOCKS_AT_ONCE = 6
_STREAMS_AT_ONCE = 8
"""Together about 130 MiB at the most: a block on its way takes twice its size, and each stream fills another one. A
stream that waits for its turn holds what it began with, 4 MiB at the most."""


class AzureStore:
    """Blobs of one account; `connect` opens it."""

    def __init__(self, service: BlobServiceClient, signer: Signer, rest: Rest) -> None:
        self._service = service
        self._rest = rest
        self._signer = signer
        self._account = urlsplit(service.url).netloc
        self._made: set[str] = set()
        self._protecting: set[str] = set()
        self._blocks = asyncio.Semaphore(_BLOCKS_AT_ONCE)
        self._streams = asyncio.Semaphore(_STREAMS_AT_ONCE)

    @property
    def name(self) -> str:
        """The account's address."""
        return self._service.url.partition("?")[0].rstrip("/")

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
        """Store a blob: a small one in one request, a larger one in staged blocks. See the port."""
        async with closing(body):
            checked = check_metadata(metadata)
            address = check_container(container), check_blob(name)
            upload = Upload(
                self._rest, self._service, address, checked, self._blocks, locked_until=locked_until, expected=sha256
            )
            stream = pieces(body) if isinstance(body, bytes) else body
            with reported(self._account, f"store blob {name!r}"):
                head = body if isinstance(body, bytes) and len(body) <= ONE_REQUEST else await _head(stream)
                if len(head) <= ONE_REQUEST:
                    created_at = await self._put(upload, container, head)
                else:
                    stream, head = _joined(head, stream), b""
                    async with self._streams:
                        await self._refuse_existing(container, name)
                        created_at = await upload.stage(stream)
            if created_at is None:
                raise taken(container, name)
            return BlobInfo(name=name, size=upload.size, sha256=upload.sha256, created_at=created_at, metadata=checked)

    async def _put(self, upload: Upload, container: str, body: bytes) -> datetime | None:
        try:
            return await upload.put(body)
        except ResourceNotFoundError as error:
            if code_of(error) != NO_CONTAINER:
                raise
            await self._make_container(container)
            return await upload.put(body)

    async def _refuse_existing(self, container: str, name: str) -> None:
        """Say early what the commit would say, before a long body is sent for nothing; make the container."""
        try:
            await self._rest.look(container, name)
        except ResourceNotFoundError as error:
            if code_of(error) == NO_CONTAINER:
                await self._make_container(container)
            return
        raise taken(container, name)

    async def _make_container(self, container: str) -> None:
        if is_regulatory(container):
            raise Unavailable(unprovisioned(self._account, container))
        try:
            await self._service.get_container_client(container).create_container()
        except ResourceExistsError as error:
            if code_of(error) != "ContainerAlreadyExists":
                raise
        self._made.add(container)

    async def stat(self, container: str, name: str) -> BlobInfo:
        """Tell what is known of a blob. Raises NotFound; Damaged for one of a kind that the platform never makes."""
        address = check_container(container), check_blob(name)
        with reported(self._account, f"read blob {name!r}", missing=absent(*address)):
            seen = await self._rest.look(*address)
        _refuse_kind(name, seen.kind)
        return _info(seen)

    async def read(
        self, container: str, name: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Stream a blob in pieces of at most 4 MiB. Raises NotFound and Damaged, as `stat`."""
        blob = self._blob(container, name)
        if length == 0:
            await self.stat(container, name)
            return
        with reported(self._account, f"read blob {name!r}", missing=absent(container, name)):
            try:
                stream = await _open(blob, offset, length)
            except HttpResponseError as error:
                if code_of(error) == "InvalidRange":
                    return  # from the end on there is nothing
                raise
            _refuse_kind(name, stream.properties.blob_type)
            async for chunk in stream.chunks():
                yield chunk

    async def list_blobs(self, container: str, prefix: str = "", *, after: str = "") -> AsyncIterator[BlobInfo]:
        """List blobs as the port says; nothing when the container is missing."""
        found = self._rest.list_blobs(check_container(container), check_prefix(prefix), after)
        last = after.encode()
        with reported(self._account, f"list the blobs of {container}"):
            try:
                async for each in found:
                    # The service begins with `after` itself.
                    if each.name.encode() > last:
                        yield _info(each)
            except ResourceNotFoundError as error:
                if code_of(error) != NO_CONTAINER:
                    raise

    async def list_containers(self, prefix: str = "") -> list[str]:
        """Name the containers that begin with a prefix, in order."""
        with reported(self._account, "list containers"):
            found = self._service.list_containers(name_starts_with=prefix or None)
            return sorted([each.name async for each in found])

    async def delete(self, container: str, name: str) -> None:
        """Delete a blob. Raises NotFound, and Conflict when it is protected."""
        blob = self._blob(container, name)
        with reported(self._account, f"delete blob {name!r}", missing=absent(container, name)):
            if is_regulatory(container):
                # The service itself would take the name away, and keep what is locked as a version without one.
                refuse_locked(await blob.get_blob_properties(), datetime.now(UTC))
            # A worker's grant may make snapshots of its blob, and the service would keep both for their sake.
            await blob.delete_blob(delete_snapshots="include")

    async def lock(self, container: str, name: str, until: datetime) -> None:
        """Lock a blob as the port says. Raises NotFound, Unavailable."""
        blob = self._blob(container, name)
        with reported(self._account, f"lock blob {name!r}", missing=absent(container, name)):
            await extend(blob, until)

    async def protection(self, container: str) -> str | None:
        """Prove protection once for the life of this store; what is missing may be there the next time."""
        if container in self._protecting:
            return None
        with reported(self._account, f"show whether it protects {container}"):
            missing = await what_is_missing(
                self._account, self._service.get_container_client(check_container(container)), datetime.now(UTC)
            )
        if missing is None:
            self._protecting.add(container)
        return missing

    async def grant(self, container: str, name: str, verb: Verb, *, expires_at: datetime, limit: int) -> str:  # noqa: ARG002  (the service cannot limit a size: who records a result looks at it)
        """Sign a URL that `blobs.https` acts on. Raises InvalidInput when it is to live longer than can be signed."""
        url = self._blob(container, name).url
        if verb is Verb.CREATE and container not in self._made and not is_regulatory(container):
            with reported(self._account, f"make container {container}"):
                await self._make_container(container)
        return f"{url}?{await self._signer.sign(container, name, verb, expires_at)}"

    async def close(self) -> None:
        """Let go of connections."""
        await self._rest.close()
        await self._service.close()

    def _blob(self, container: str, name: str) -> BlobClient:
        return self._service.get_blob_client(check_container(container), check_blob(name))


def _refuse_kind(name: str, kind: str) -> None:
    """A worker's grant can make a page blob of 8 TiB of nothing at once; a block blob has the bytes that were sent."""
    if kind != BlobType.BLOCKBLOB:
        raise Damaged(
            f"blob {name!r} is no block blob, and the platform makes no other: look who made it, and delete it"
        )


def _info(seen: Seen) -> BlobInfo:
    """A blob made through a grant has no digest in its metadata: its writer could not state one."""
    metadata, sha256 = _told(seen.metadata)
    return BlobInfo(
        name=seen.name,
        size=seen.size,
        sha256=sha256,
        created_at=seen.created_at,
        metadata=metadata,
        legal_hold=seen.legal_hold,
        locked_until=lock_until(seen.policy_mode, seen.policy_until),
    )


def _told(metadata: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """A blob's own metadata, and its digest; the store's own keys are not told."""
    own = {key: value for key, value in metadata.items() if key not in {SHA256, UPLOAD}}
    return own, metadata.get(SHA256, "")


async def _open(blob: BlobClient, offset: int, length: int | None) -> StorageStreamDownloader[bytes]:
    """Begin to read. An answer that says no is read outside of the vendor's retries, so one that is cut is had anew."""
    for _ in range(_OPENINGS - 1):
        with suppress(IncompleteReadError):
            return await blob.download_blob(offset=offset, length=length)
    return await blob.download_blob(offset=offset, length=length)


async def _head(stream: AsyncIterator[bytes]) -> bytes:
    """Read until there is more than one request holds, or to the end."""
    head = bytearray()
    async for chunk in stream:
        head += chunk
        if len(head) > ONE_REQUEST:
            break
    return bytes(head)


async def _joined(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    del head
    async for chunk in rest:
        yield chunk
