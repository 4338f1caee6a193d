"""Open a storage account, from a connection string or an address; what is wrong with either is one sentence."""

import re
from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.storage.blob.aio import BlobServiceClient

from livecalc.blobs.azure.failures import refusal
from livecalc.blobs.azure.grants import AccountKey, DelegationKeys, Signer
from livecalc.blobs.azure.retry import Patience
from livecalc.blobs.azure.store import AzureStore
from livecalc.blobs.azure.upload import BLOCK
from livecalc.domain.errors import InvalidInput

CONNECTION_STRING = "AZURE_BLOB_CONNECTION_STRING"
ACCOUNT_URL = "AZURE_BLOB_ACCOUNT_URL"
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}", re.ASCII)
_CONNECT_SECONDS = 10
_READ_SECONDS = 60


@asynccontextmanager
async def connect(
    *, connection_string: str | None = None, account_url: str | None = None
) -> AsyncGenerator[AzureStore]:
    """Open the account that one of the two names, and see that it answers.

    Raises InvalidInput, which names the setting and never shows a key.
    """
    async with AsyncExitStack() as stack:
        if connection_string is not None:
            service, signer = _by_string(connection_string)
            setting = CONNECTION_STRING
        elif account_url is not None:
            service, signer = await _by_address(account_url, stack)
            setting = ACCOUNT_URL
        else:
            raise InvalidInput(f"no blob store is named: set {CONNECTION_STRING} or {ACCOUNT_URL}")
        await stack.enter_async_context(service)
        await _see_that_it_answers(service, setting)
        yield AzureStore(service, signer)


def _by_string(text: str) -> tuple[BlobServiceClient, Signer]:
    fields = _fields(text)
    try:
        service = BlobServiceClient.from_connection_string(text, **_options())
    except (ValueError, TypeError) as error:
        raise _bad_string(f"{error}".splitlines()[0].rstrip(".")[:120]) from None
    return service, AccountKey(service.url, service.account_name or fields["AccountName"], fields["AccountKey"])


def _fields(text: str) -> dict[str, str]:
    """Read Name=value pairs, and see that the service could be asked with them."""
    if any(char in text for char in "\r\n"):
        raise _bad_string("it has more than one line")
    pairs = [part.partition("=") for part in text.strip().split(";") if part]
    if not pairs or not all(name and equals and value for name, equals, value in pairs):
        raise _bad_string("it is no list of Name=value, separated by ';'")
    fields = {name.strip(): value for name, _, value in pairs}
    if _ACCOUNT.fullmatch(fields.get("AccountName", "")) is None:
        raise _bad_string("its AccountName is missing, or none")
    if "AccountKey" not in fields:
        raise _bad_string("it has no AccountKey, which signs the grants of workers")
    try:
        b64decode(fields["AccountKey"], validate=True)
    except ValueError:
        raise _bad_string("its AccountKey is no base64") from None
    if "BlobEndpoint" in fields and not _is_address(fields["BlobEndpoint"], {"http", "https"}):
        raise _bad_string("its BlobEndpoint is no address")
    return fields


def _bad_string(why: str) -> InvalidInput:
    return InvalidInput(
        f"{CONNECTION_STRING}=(hidden) is not valid: {why}; copy it whole from the storage account's access keys"
    )


async def _by_address(address: str, stack: AsyncExitStack) -> tuple[BlobServiceClient, Signer]:
    from azure.identity.aio import DefaultAzureCredential

    account = BlobServiceClient(address, credential=None).account_name if _is_address(address, {"https"}) else None
    if not account:
        shown = "(hidden)" if "@" in address else repr(address.partition("?")[0])
        raise InvalidInput(
            f"{ACCOUNT_URL}={shown} is not valid: use the account's address, "
            "such as https://ACCOUNT.blob.core.windows.net"
        )
    credential: AsyncTokenCredential = await stack.enter_async_context(DefaultAzureCredential())
    service = BlobServiceClient(address, credential=credential, **_options())
    return service, DelegationKeys(service)


def _is_address(text: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and not (parts.query or parts.fragment or parts.username)


def _options() -> dict[str, Any]:
    return {
        "retry_policy": Patience(),
        "connection_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "max_single_get_size": BLOCK,
        "max_chunk_get_size": BLOCK,
        "max_single_put_size": BLOCK,
        "max_block_size": BLOCK,
    }


async def _see_that_it_answers(service: BlobServiceClient, setting: str) -> None:
    host = urlsplit(service.url).netloc
    try:
        async for _ in service.list_containers(results_per_page=1, retry_total=1, retry_connect=1):
            break
    except (ClientAuthenticationError, HttpResponseError) as error:
        raise InvalidInput(f"{setting} names blob store {host}: {refusal(error)}") from None
    except AzureError:
        raise InvalidInput(
            f"{setting} names blob store {host}, which does not answer: start it, or correct it"
        ) from None
