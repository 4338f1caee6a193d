"""The blob store in an account of Azure Blob Storage: what the port promises, over the vendor's client."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient, BlobServiceClient

from livecalc.blobs.azure.failures import NO_CONTAINER, absent, code_of, reported, taken
from livecalc.blobs.azure.grants import Signer
from livecalc.blobs.azure.upload import ONE_REQUEST, SHA256, UPLOAD, Upload
from livecalc.blobs.names import check_blob, check_container, check_metadata, check_prefix
from livecalc.blobs.port import BlobInfo, Body, Verb


class AzureStore:
    """Blobs of one account; `connect` opens it."""

    def __init__(self, service: BlobServiceClient, signer: Signer) -> None:
        self._service = service
        self._signer = signer
        self._account = urlsplit(service.url).netloc
        self._made: set[str] = set()

    @property
    def name(self) -> str:
        """The account's address."""
        return self._service.url.partition("?")[0].rstrip("/")

    async def write(
        self, container: str, name: str, body: Body, *, metadata: Mapping[str, str] | None = None
    ) -> BlobInfo:
        """Store a blob: small bytes in one request, anything else in staged blocks. See the port."""
        checked = check_metadata(metadata)
        upload = Upload(self._blob(container, name), checked)
        with reported(self._account, f"store blob {name!r}"):
            if isinstance(body, bytes) and len(body) <= ONE_REQUEST:
                created_at = await self._put(upload, container, body)
            else:
                await self._refuse_existing(container, name)
                created_at = await upload.stage(_whole(body) if isinstance(body, bytes) else body)
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
            await self._blob(container, name).get_blob_properties()
        except ResourceNotFoundError as error:
            if code_of(error) == NO_CONTAINER:
                await self._make_container(container)
            return
        raise taken(container, name)

    async def _make_container(self, container: str) -> None:
        try:
            await self._service.get_container_client(container).create_container()
        except ResourceExistsError as error:
            if code_of(error) != "ContainerAlreadyExists":
                raise
        self._made.add(container)

    async def stat(self, container: str, name: str) -> BlobInfo:
        """Tell what is known of a blob. Raises NotFound."""
        blob = self._blob(container, name)
        with reported(self._account, f"read blob {name!r}", missing=absent(container, name)):
            return _info(name, await blob.get_blob_properties())

    async def read(
        self, container: str, name: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Stream a blob in pieces of at most 4 MiB. Raises NotFound."""
        blob = self._blob(container, name)
        if length == 0:
            await self.stat(container, name)
            return
        with reported(self._account, f"read blob {name!r}", missing=absent(container, name)):
            try:
                stream = await blob.download_blob(offset=offset, length=length)
            except HttpResponseError as error:
                if code_of(error) == "InvalidRange":
                    return  # from the end on there is nothing
                raise
            async for chunk in stream.chunks():
                yield chunk

    async def list_blobs(self, container: str, prefix: str = "", *, after: str = "") -> AsyncIterator[BlobInfo]:
        """List blobs as the port says; nothing when the container is missing."""
        client = self._service.get_container_client(check_container(container))
        found = client.list_blobs(
            name_starts_with=check_prefix(prefix) or None, include=["metadata"], start_from=after or None
        )
        last = after.encode()
        with reported(self._account, f"list the blobs of {container}"):
            try:
                async for each in found:
                    # The service begins with `after` itself, and before version 2026-02-06 with the first of all.
                    if each.name.encode() > last:
                        yield _info(each.name, each)
            except ResourceNotFoundError as error:
                if code_of(error) != NO_CONTAINER:
                    raise

    async def list_containers(self, prefix: str = "") -> list[str]:
        """Name the containers that begin with a prefix, in order."""
        with reported(self._account, "list containers"):
            found = self._service.list_containers(name_starts_with=prefix or None)
            return sorted([each.name async for each in found])

    async def delete(self, container: str, name: str) -> None:
        """Delete a blob. Raises NotFound, and Conflict when the service protects it."""
        blob = self._blob(container, name)
        with reported(self._account, f"delete blob {name!r}", missing=absent(container, name)):
            await blob.delete_blob()

    async def grant(self, container: str, name: str, verb: Verb, *, expires_at: datetime, limit: int) -> str:  # noqa: ARG002  (the service cannot limit a size: who records a result looks at it)
        """Sign a URL that `blobs.https` acts on. Raises InvalidInput when it is to live longer than can be signed."""
        url = self._blob(container, name).url
        if verb is Verb.CREATE and container not in self._made:
            with reported(self._account, f"make container {container}"):
                await self._make_container(container)
        return f"{url}?{await self._signer.sign(container, name, verb, expires_at)}"

    async def close(self) -> None:
        """Let go of connections."""
        await self._service.close()

    def _blob(self, container: str, name: str) -> BlobClient:
        return self._service.get_blob_client(check_container(container), check_blob(name))


def _info(name: str, properties: BlobProperties) -> BlobInfo:
    """A blob made through a grant has no digest in its metadata: its writer could not state one."""
    metadata = dict(properties.metadata or {})
    sha256 = metadata.pop(SHA256, "")
    metadata.pop(UPLOAD, None)
    return BlobInfo(
        name=name,
        size=properties.size,
        sha256=sha256,
        created_at=properties.creation_time or datetime.fromtimestamp(0, UTC),
        metadata=metadata,
    )


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body
