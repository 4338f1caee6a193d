"""Open a storage account, from a connection string or an address; what is wrong with either is one sentence."""

import logging
import re
from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from copy import copy
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.storage.blob.aio import BlobServiceClient

from livecalc.blobs.azure.failures import unopened
from livecalc.blobs.azure.grants import AccountKey, DelegationKeys, Signer
from livecalc.blobs.azure.rest import Rest
from livecalc.blobs.azure.retry import Patience
from livecalc.blobs.azure.store import AzureStore
from livecalc.blobs.azure.upload import BLOCK
from livecalc.domain.errors import InvalidInput

CONNECTION_STRING = "AZURE_BLOB_CONNECTION_STRING"
ACCOUNT_URL = "AZURE_BLOB_ACCOUNT_URL"
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}", re.ASCII)
_ERRNO = re.compile(r"^\[Errno \d+\] ")
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_FIRST_SECONDS = 10.0
_SILENT = logging.CRITICAL + 1


@asynccontextmanager
async def connect(
    *,
    connection_string: str | None = None,
    account_url: str | None = None,
    retry: Patience | None = None,
    first_seconds: float = _FIRST_SECONDS,
) -> AsyncGenerator[AzureStore]:
    """Open the account that one of the two names, and see that it answers, each of two times within `first_seconds`.

    `retry` takes the place of the usual patience. Raises InvalidInput, and Unavailable for a store that has a bad
    moment; both name the setting and never show a key.
    """
    _quiet()
    patience = retry or Patience()
    async with AsyncExitStack() as stack:
        if connection_string is not None:
            service, signer = _by_string(connection_string, patience)
            setting = CONNECTION_STRING
        elif account_url is not None:
            service, signer = await _by_address(account_url, patience, stack)
            setting = ACCOUNT_URL
        else:
            raise InvalidInput(f"no blob store is named: set {CONNECTION_STRING} or {ACCOUNT_URL}")
        await stack.enter_async_context(service)
        await _see_that_it_answers(service, setting, first_seconds)
        # A copy: a policy knows what comes after it, and so belongs to one pipeline.
        rest = Rest(service.url, signer, copy(patience), connect_seconds=_CONNECT_SECONDS, read_seconds=_READ_SECONDS)
        stack.push_async_callback(rest.close)
        yield AzureStore(service, signer, rest)


def _quiet() -> None:
    """Let the vendor's loggers say no more than errors, and of identities nothing: our own sentences do."""
    for name, level in (("azure", logging.ERROR), ("azure.identity", _SILENT)):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:  # else somebody wants it otherwise
            logger.setLevel(level)


def _by_string(text: str, retry: Patience) -> tuple[BlobServiceClient, Signer]:
    fields = _fields(text)
    try:
        service = BlobServiceClient.from_connection_string(
            ";".join(f"{name}={value}" for name, value in fields.items()), **_options(retry)
        )
    except (ValueError, TypeError) as error:
        raise _bad_string(_first_line(error)) from None
    return service, AccountKey(service.url, service.account_name or fields["ACCOUNTNAME"], fields["ACCOUNTKEY"])


def _fields(text: str) -> dict[str, str]:
    """Read Name=value pairs, the names in capitals as the SDK has them, and see that the service could be asked."""
    text = text.strip()
    if any(char in text for char in "\r\n"):
        raise _bad_string("it has more than one line")
    pairs = [part.partition("=") for part in text.split(";") if part.strip()]
    if not pairs or not all(name and equals and value for name, equals, value in pairs):
        raise _bad_string("it is no list of Name=value, separated by ';'")
    fields = {name.strip().upper(): value.strip() for name, _, value in pairs}
    if "USEDEVELOPMENTSTORAGE" in fields:
        raise _bad_string("UseDevelopmentStorage is short for an address that it does not say: give it in full")
    if _ACCOUNT.fullmatch(fields.get("ACCOUNTNAME", "")) is None:
        raise _bad_string("its AccountName is missing, or is not 3 to 24 of a-z and 0-9")
    if "ACCOUNTKEY" not in fields:
        raise _bad_string("it has no AccountKey, which signs the grants of workers")
    try:
        b64decode(fields["ACCOUNTKEY"], validate=True)
    except ValueError:
        raise _bad_string("its AccountKey is no base64") from None
    if "BLOBENDPOINT" in fields and not _is_address(fields["BLOBENDPOINT"], {"http", "https"}):
        raise _bad_string("its BlobEndpoint is no address")
    return fields


def _bad_string(why: str) -> InvalidInput:
    return InvalidInput(
        f"{CONNECTION_STRING}=(hidden) is not valid: {why}; copy it whole from the storage account's access keys"
    )


async def _by_address(address: str, retry: Patience, stack: AsyncExitStack) -> tuple[BlobServiceClient, Signer]:
    from azure.identity.aio import DefaultAzureCredential

    account = BlobServiceClient(address, credential=None).account_name if _is_address(address, {"https"}) else None
    if not account:
        shown = "(hidden)" if "@" in address else repr(re.split("[?#]", address)[0])
        raise InvalidInput(
            f"{ACCOUNT_URL}={shown} is not valid: use the account's address, "
            "such as https://ACCOUNT.blob.core.windows.net"
        )
    try:
        identity = DefaultAzureCredential()
    except (ValueError, TypeError, OSError) as error:
        raise InvalidInput(f"{ACCOUNT_URL}: no identity can be used: {_first_line(error)}") from None
    credential: AsyncTokenCredential = await stack.enter_async_context(identity)
    service = BlobServiceClient(address, credential=credential, **_options(retry))
    return service, DelegationKeys(service)


def _first_line(error: Exception) -> str:
    first = (f"{error}".splitlines() or [type(error).__name__])[0]
    return _ERRNO.sub("", first).rstrip(".")[:240]


def _is_address(text: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and not (parts.query or parts.fragment or parts.username)


def _options(retry: Patience) -> dict[str, Any]:
    return {
        "retry_policy": retry,
        "connection_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "max_single_get_size": BLOCK,
        "max_chunk_get_size": BLOCK,
        "max_single_put_size": BLOCK,
        "max_block_size": BLOCK,
    }


async def _see_that_it_answers(service: BlobServiceClient, setting: str, seconds: float) -> None:
    asked = service.list_containers(results_per_page=1, retry_total=1, retry_connect=1, read_timeout=seconds)
    try:
        async for _ in asked:
            break
    except AzureError as error:
        raise unopened(setting, urlsplit(service.url).netloc, error) from None
