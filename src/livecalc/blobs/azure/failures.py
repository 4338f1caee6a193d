"""What the service's answers mean in the platform's words."""

from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum
from typing import NoReturn

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    IncompleteReadError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from livecalc.domain.errors import AlreadyExists, Conflict, LivecalcError, NotFound, Unavailable

NO_CONTAINER = "ContainerNotFound"
TAKEN = frozenset({"BlobAlreadyExists", "ConditionNotMet", "UnauthorizedBlobOverwrite", "BlobImmutableDueToPolicy"})
"""Error codes of a write under If-None-Match whose blob is there. The last is of a container that is locked."""
_PROTECTED = frozenset({"BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold", "LeaseIdMissing"})
_FORBIDDEN = 403
_LENGTH = 200


def code_of(error: AzureError) -> str:
    """The service's code of an error; empty when it gave none."""
    code = getattr(error, "error_code", None)
    return str(code.value if isinstance(code, Enum) else code or "")


@contextmanager
def reported(account: str, doing: str, *, missing: NotFound | None = None) -> Generator[None]:
    """Raise in the platform's words what the SDK raises in the block; `missing` for what is not there."""
    try:
        yield
    except ResourceNotFoundError as error:
        if missing is not None:
            raise missing from None
        _fail(account, doing, error)
    except AzureError as error:
        _fail(account, doing, error)


def _fail(account: str, doing: str, error: AzureError) -> NoReturn:
    raise _meaning(account, doing, error) from error


def _meaning(account: str, doing: str, error: AzureError) -> LivecalcError:
    """Choose the error and its sentence."""
    cannot = f"blob store {account} cannot {doing}"
    code = code_of(error)
    if code in _PROTECTED:
        return Conflict(f"{cannot}: it is protected ({code}) and stays until its retention ends")
    if code == "ContainerBeingDeleted":
        return Unavailable(f"{cannot}: its container was deleted a moment ago and cannot be made again yet; wait")
    if isinstance(error, ClientAuthenticationError) or _status(error) == _FORBIDDEN:
        return Unavailable(f"{cannot}: {refusal(error)}")
    if isinstance(error, ServiceRequestError):
        return Unavailable(f"{cannot}: it does not answer ({_words(error)})")
    if isinstance(error, ServiceResponseError | IncompleteReadError):
        return Unavailable(f"{cannot}: the connection broke ({_words(error)})")
    status = _status(error)
    return Unavailable(f"{cannot}: it answered {status} {code}".rstrip() if status else f"{cannot}: {_words(error)}")


def refusal(error: AzureError) -> str:
    """Say why access was refused, and what to do about it."""
    code = code_of(error)
    if code == "AuthorizationPermissionMismatch":
        return f"access is refused ({code}): the identity needs the role Storage Blob Data Owner on the account"
    if code:
        return (
            f"access is refused ({code}): check the key or identity, the account's firewall, and this machine's clock"
        )
    return f"no token could be had for it ({_words(error)})"


def is_taken(error: AzureError) -> bool:
    """Whether a write failed because the blob is there."""
    return code_of(error) in TAKEN


def taken(container: str, name: str) -> AlreadyExists:
    """Say that a blob is there."""
    return AlreadyExists(f"blob {name!r} is already in {container}, and blobs are written once")


def absent(container: str, name: str) -> NotFound:
    """Say that a blob is not there."""
    return NotFound(f"there is no blob {name!r} in {container}")


def _status(error: AzureError) -> int:
    return (error.status_code or 0) if isinstance(error, HttpResponseError) else 0


def _words(error: AzureError) -> str:
    """The error's first line; the SDK puts headers and XML after it."""
    return (str(error.message).strip().splitlines() or [type(error).__name__])[0][:_LENGTH]
