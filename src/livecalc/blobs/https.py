"""Grants that are URLs of a blob service: one PUT or GET each, as Azure's signed URLs want them, without an SDK."""

import hashlib
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from livecalc.domain.errors import AlreadyExists, Damaged, Forbidden, LivecalcError, NotFound, TooLarge, Unavailable

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

_CHUNK = 1024 * 1024
_ONE_PUT = 5000 * 1024 * 1024
"""The most bytes of one Put Blob since version 2019-12-12 of the service (Microsoft: "Put Blob", remarks)."""
_VERSION = "2021-12-02"
_READ = {"x-ms-version": _VERSION, "Accept-Encoding": "identity"}
_OVERWRITE = "UnauthorizedBlobOverwrite"
"""The error code of a 403 for a URL that may create, but not overwrite (Microsoft: "Blob service error codes")."""
_LONGEST_PAUSE = 60.0
_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_TAKEN = {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}
_REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class HttpsGrants:
    """The grant client for `https:` and `http:` URLs.

    What may pass is tried `attempts` times, with pauses that double from `pause` seconds or are what the service asks
    for; each wait for the network ends after `timeout` seconds.
    """

    def __init__(
        self,
        *,
        attempts: int = 6,
        pause: float = 0.5,
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._attempts = attempts
        self._pause = pause
        self._timeout = timeout
        self._sleep = sleep

    def fetch(self, url: str, target: Path, *, limit: int) -> int:
        """Download the grant's blob into a file. See the port."""
        with self._client() as client:
            return self._persist(lambda _: _download(client, url, target, limit))

    def create(self, url: str, source: Path, *, sha256: str) -> None:
        """Upload a file as the grant's blob. See the port; Damaged when its bytes do not have that digest."""
        size, md5 = _measure(source, sha256)
        headers = {
            "x-ms-blob-type": "BlockBlob",
            "x-ms-version": _VERSION,
            "If-None-Match": "*",
            "Content-Length": str(size),
            "Content-MD5": md5,
            "Content-Type": "application/octet-stream",
        }
        with self._client() as client:
            self._persist(lambda is_doubtful: _upload(client, url, source, headers, is_doubtful=is_doubtful))

    def _client(self) -> "httpx.Client":
        import httpx

        return httpx.Client(timeout=self._timeout, follow_redirects=False)

    def _persist(self, attempt: Callable[[bool], T]) -> T:
        """Try again what may pass; `attempt` is told whether an earlier one perhaps did its work unanswered."""
        pause = self._pause
        is_doubtful = False
        tried = 0
        while True:
            try:
                return attempt(is_doubtful)
            except _MayPassError as trouble:
                tried += 1
                if tried >= self._attempts:
                    raise Unavailable(f"{trouble} (tried {tried} times)") from trouble
                is_doubtful |= trouble.is_doubtful
                wait = pause * (0.5 + secrets.randbelow(1000) / 1000)
                self._sleep(min(wait if trouble.pause is None else trouble.pause, _LONGEST_PAUSE))
                pause *= 2


class _MayPassError(Exception):
    """Worth another try; doubtful when the request may have been carried out."""

    def __init__(self, what: str, *, is_doubtful: bool, pause: float | None = None) -> None:
        super().__init__(what)
        self.is_doubtful = is_doubtful
        self.pause = pause


def _download(client: "httpx.Client", url: str, target: Path, limit: int) -> int:
    name = _name(url)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with _network(name), client.stream("GET", url, headers=_READ) as response:
            _check(response, name)
            size = _save(response.iter_raw(_CHUNK), draft, limit, name)
        draft.replace(target)
    except OSError as error:
        raise Unavailable(f"blob {name!r} cannot be stored as {target}: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return size


def _save(chunks: Iterator[bytes], draft: Path, limit: int, name: str) -> int:
    size = 0
    with draft.open("wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"blob {name!r} has more than the {limit} bytes that are allowed")
            file.write(chunk)
    return size


def _upload(client: "httpx.Client", url: str, source: Path, headers: dict[str, str], *, is_doubtful: bool) -> None:
    name = _name(url)
    with _network(name):
        response = client.put(url, headers=headers, content=_chunks(source))
    is_there = response.headers.get("x-ms-error-code") == _OVERWRITE
    if response.status_code in _REFUSED and (is_there or is_doubtful):
        raise AlreadyExists(f"blob {name!r} is refused: it is already stored, perhaps by an earlier try")
    _check(response, name)


@contextmanager
def _network(name: str) -> Generator[None]:
    import httpx

    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise Forbidden(f"the grant for blob {name!r} is no URL that can be used") from None
    except httpx.TransportError as error:
        is_doubtful = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        msg = f"the blob service does not answer for {name!r} ({type(error).__name__})"
        raise _MayPassError(msg, is_doubtful=is_doubtful) from error


def _check(response: "httpx.Response", name: str) -> None:
    """Raise what the status means; nothing for success."""
    status = response.status_code
    if status in {HTTPStatus.OK, HTTPStatus.CREATED}:
        return
    is_failing = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if status in _AGAIN or is_failing:
        msg = f"the blob service answers {status} for {name!r}"
        raise _MayPassError(msg, is_doubtful=is_failing, pause=_asked_pause(response))
    raise _refusal(status, name, is_create=response.request.method == "PUT")


def _refusal(status: int, name: str, *, is_create: bool) -> LivecalcError:
    if status in _TAKEN:
        return AlreadyExists(f"blob {name!r} is already stored, perhaps by an earlier try")
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(f"there is no blob {name!r}")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLarge(f"blob {name!r} is larger than the blob service takes")
    if status in _REFUSED:
        doubt = ", or the blob is already there, perhaps from an earlier try" if is_create else ""
        return Forbidden(f"the grant for blob {name!r} is not valid for this, has expired{doubt}")
    return Unavailable(f"the blob service answers {status} for {name!r}, which is not understood")


def _asked_pause(response: "httpx.Response") -> float | None:
    """Read Retry-After, in seconds or as a date."""
    text = response.headers.get("retry-after", "")
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _measure(source: Path, sha256: str) -> tuple[int, str]:
    size, md5, sha = 0, hashlib.md5(usedforsecurity=False), hashlib.sha256()
    for chunk in _chunks(source):
        size += len(chunk)
        md5.update(chunk)
        sha.update(chunk)
    if sha.hexdigest() != sha256:
        raise Damaged(f"{source} changed before it was stored: its SHA-256 is another")
    if size > _ONE_PUT:
        raise TooLarge(f"{source} has {size} bytes, more than the {_ONE_PUT} of one upload")
    return size, b64encode(md5.digest()).decode()


def _chunks(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise Unavailable(f"{source} cannot be read: {error.strerror}") from error


def _name(url: str) -> str:
    """The path of a URL, without its signature."""
    try:
        return unquote(urlsplit(url).path).lstrip("/")
    except ValueError:
        return "?"
