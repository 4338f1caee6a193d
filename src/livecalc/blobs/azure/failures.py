"""What the service's answers mean in the platform's words."""

import errno
import os
import re
import socket
import ssl
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

from livecalc.domain.errors import AlreadyExists, Conflict, InvalidInput, LivecalcError, NotFound, Unavailable

NO_CONTAINER = "ContainerNotFound"
TAKEN = frozenset({"BlobAlreadyExists", "ConditionNotMet", "UnauthorizedBlobOverwrite", "BlobImmutableDueToPolicy"})
"""Error codes of a write under If-None-Match whose blob is there. The last is of a container that is locked."""
_PROTECTED = {
    "BlobImmutableDueToPolicy": "it is protected ({}) and stays until its retention ends",
    "BlobImmutableDueToLegalHold": "it is under a legal hold of the store ({}) and stays until that is taken away",
    "LeaseIdMissing": "somebody has a lease on it ({}): end or break the lease first",
}
_REFUSED = frozenset({401, 403})
_BUSY = frozenset({408, 429})
_OK = 300
_FAILING = 500
_LENGTH = 200
_LONGER = 600
_QUERY = re.compile(r"\?\S*")
_ATTEMPT = re.compile(r"^\s+(\w+: .*)$", re.MULTILINE)


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
    # Not `from error`: its own words may hold a signed address, and a traceback shows them.
    raise _meaning(account, doing, error) from None


def _meaning(account: str, doing: str, error: AzureError) -> LivecalcError:
    """Choose the error and its sentence."""
    cannot = f"blob store {account} cannot {doing}"
    code = code_of(error)
    if code in _PROTECTED:
        return Conflict(f"{cannot}: {_PROTECTED[code].format(code)}")
    if code == "ContainerBeingDeleted":
        return Unavailable(f"{cannot}: its container was deleted a moment ago and cannot be made again yet; wait")
    if _is_refused(error):
        return Unavailable(f"{cannot}: {refusal(error)}")
    if isinstance(error, ServiceRequestError):
        return Unavailable(f"{cannot}: it does not answer ({cause(error)})")
    if isinstance(error, ServiceResponseError | IncompleteReadError):
        return Unavailable(f"{cannot}: the connection broke ({cause(error)})")
    status = _status(error)
    answer = f"it answered {status} {code}".rstrip() if status >= _OK else _words(error)
    return Unavailable(f"{cannot}: {answer}")


def cause(error: AzureError) -> str:
    """Say what came in a connection's way, as the system calls it: `connection refused`."""
    inner = getattr(error.inner_exception, "os_error", error.inner_exception)
    if isinstance(inner, TimeoutError):
        return "nothing came in time"
    if isinstance(inner, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {inner.verify_message}"
    # The number of any other TLS error is one of TLS.
    number = inner.errno if isinstance(inner, OSError) and not isinstance(inner, ssl.SSLError) else None
    if number is not None and number in errno.errorcode:
        return os.strerror(number).lower()
    return _words(error)


def unopened(setting: str, host: str, error: AzureError) -> LivecalcError:
    """Choose the error, and its sentence, for a store that failed the first time that it was asked something."""
    named = f"{setting} names blob store {host}"
    if _is_refused(error):
        return InvalidInput(f"{named}: {refusal(error)}")
    status = _status(error)
    if status in _BUSY or status >= _FAILING:
        return Unavailable(f"{named}, which answers {status}: try again later")
    if status:
        answer = f"{status} {code_of(error)}".rstrip()
        return InvalidInput(f"{named}, which does not answer like a blob store ({answer}): correct the address")
    return InvalidInput(f"{named}, which does not answer: start it, or correct it")


def refusal(error: AzureError) -> str:
    """Say why access was refused, and what to do about it."""
    if isinstance(error, ClientAuthenticationError) and error.response is None:
        return f"no token could be had for it ({_attempts(error)})"
    code = code_of(error) or str(_status(error))
    if code == "AuthorizationPermissionMismatch":
        return f"access is refused ({code}): the identity needs the role Storage Blob Data Owner on the account"
    return f"access is refused ({code}): check the key or identity, the account's firewall, and this machine's clock"


def _is_refused(error: AzureError) -> bool:
    return isinstance(error, ClientAuthenticationError) or _status(error) in _REFUSED


def is_taken(error: AzureError) -> bool:
    """Whether a write failed because the blob is there."""
    return code_of(error) in TAKEN


def is_doubtful(error: AzureError) -> bool:
    """Whether a request that failed may have been carried out all the same."""
    status = _status(error)
    return status in {0, 408, 429} or status >= _FAILING


def taken(container: str, name: str) -> AlreadyExists:
    """Say that a blob is there."""
    return AlreadyExists(f"blob {name!r} is already in {container}, and blobs are written once")


def absent(container: str, name: str) -> NotFound:
    """Say that a blob is not there."""
    return NotFound(f"there is no blob {name!r} in {container}")


def _status(error: AzureError) -> int:
    return (error.status_code or 0) if isinstance(error, HttpResponseError) else 0


def _words(error: AzureError) -> str:
    """The error's first line, without what signs a request; the SDK puts headers and XML after it."""
    first = (str(error.message).strip().splitlines() or [type(error).__name__])[0]
    return _QUERY.sub("?...", first)[:_LENGTH]


def _attempts(error: ClientAuthenticationError) -> str:
    """What each kind of credential said, on one line; the first line alone says only that there were some."""
    said = [_QUERY.sub("?...", words).rstrip(". ") for words in _ATTEMPT.findall(str(error.message))]
    return "; ".join(said)[:_LONGER] or _words(error)
