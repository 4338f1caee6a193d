"""A recording proxy in front of a blob service that adds what Azurite lacks: version-level immutability.

It answers about policies as Azure does: https://learn.microsoft.com/rest/api/storageservices/set-blob-immutability-policy
"""

import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from html import unescape
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

MODE = "x-ms-immutability-policy-mode"
UNTIL = "x-ms-immutability-policy-until-date"
SUPPORT = "x-ms-immutable-storage-with-versioning-enabled"
_ENDPOINT = re.compile(r"BlobEndpoint=http://([^/;:]+):(\d+)/(\w+)")
_LISTED = re.compile(r"<Blob><Name>(.*?)</Name>(.*?)<Properties>", re.DOTALL)
_NOT_PASSED = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request."""

    method: str
    path: str
    """Decoded, without the account: `{container}/{blob}`."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    status: int

    @property
    def comp(self) -> str:
        return self.query.get("comp", "")

    @property
    def policy(self) -> tuple[str, str] | None:
        """Mode and date that it asks for."""
        mode, until = self.headers.get(MODE), self.headers.get(UNTIL)
        return None if mode is None or until is None else (mode, until)


@dataclass
class Protecting:
    """The proxy. Its fields may be changed at any time."""

    connection_string: str
    """What leads through it."""
    provisioned: set[str] = field(default_factory=set[str])
    """The containers that it says have version-level immutability."""
    mode: str = "locked"
    """The mode in which it says that policies are."""
    forgets: Callable[[str], bool] = lambda _: False
    """Of which blobs, by path, it takes policies and keeps none, as Azurite does."""
    shortens: bool = False
    """Whether it keeps policies for less than was asked."""
    forbids: bool = False
    """Whether it refuses all policies, as for an identity without the role."""
    seen: list[Seen] = field(default_factory=list[Seen])
    locks: dict[str, str] = field(default_factory=dict[str, str])
    """The date of each blob's policy, by path."""

    def asked(self, *, comp: str | None = None) -> list[Seen]:
        """The requests that ask for a policy."""
        return [each for each in self.seen if each.policy is not None and comp in {None, each.comp}]

    def refusal(self, request: "_Request") -> tuple[int, str] | None:
        """The status and code of what the service would not do."""
        wanted, held = request.headers.get(UNTIL), self.locks.get(request.path)
        if wanted is not None and self.forbids:
            return 403, "AuthorizationPermissionMismatch"
        if wanted is not None and request.path.partition("/")[0] not in self.provisioned:
            return None  # as Azurite: taken, and nothing is protected
        if held is not None and request.method == "DELETE":
            return 409, "BlobImmutableDueToPolicy"
        if (
            held is not None
            and wanted is not None
            and request.comp == "immutabilityPolicies"
            and _is_less(wanted, held)
        ):
            return 409, "BlobImmutableDueToPolicy"
        return None

    def note(self, request: "_Request", status: int) -> None:
        self.seen.append(
            Seen(
                method=request.method,
                path=request.path,
                query=request.query,
                headers=request.headers,
                status=status,
            )
        )
        until = request.headers.get(UNTIL)
        taken = until is not None and status in {200, 201} and request.path.partition("/")[0] in self.provisioned
        if until is not None and taken and not self.forgets(request.path):
            self.locks[request.path] = _a_second_less(until) if self.shortens else until

    def about(self, request: "_Request") -> dict[str, str]:
        """What is added to the headers of an answer."""
        if request.query.get("restype") == "container" and not request.comp:
            return {SUPPORT: "true"} if request.path in self.provisioned else {}
        if request.method in {"HEAD", "GET"} and request.path in self.locks:
            return {MODE: self.mode, UNTIL: self.locks[request.path]}
        return {}

    def listed(self, container: str, xml: str) -> str:
        """A list of blobs with their policies."""

        def add(match: re.Match[str]) -> str:
            until = self.locks.get(f"{container}/{unescape(match[1])}")
            if until is None:
                return match[0]
            policy = f"<ImmutabilityPolicyUntilDate>{until}</ImmutabilityPolicyUntilDate>"
            return f"{match[0]}{policy}<ImmutabilityPolicyMode>{self.mode}</ImmutabilityPolicyMode>"

        return _LISTED.sub(add, xml)


def _is_less(one: str, other: str) -> bool:
    return parsedate_to_datetime(one) < parsedate_to_datetime(other)


def _a_second_less(date: str) -> str:
    return format_datetime(parsedate_to_datetime(date) - timedelta(seconds=1), usegmt=True)


@contextmanager
def protecting(upstream: str) -> Generator[Protecting]:
    """Listen on loopback in front of the service that a connection string names."""
    endpoint = _ENDPOINT.search(upstream)
    assert endpoint is not None
    server = _Server((endpoint[1], int(endpoint[2])))
    host, port = "127.0.0.1", server.server_address[1]
    server.proxy = Protecting(_ENDPOINT.sub(f"BlobEndpoint=http://{host}:{port}/{endpoint[3]}", upstream))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    """Answers each request in a thread; one exchange for each connection, so that none is left at the end."""

    daemon_threads = False
    request_queue_size = 128
    proxy: Protecting

    def __init__(self, upstream: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.upstream = upstream


@dataclass(frozen=True, kw_only=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def comp(self) -> str:
        return self.query.get("comp", "")


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def _exchange(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        request = _Request(
            method=self.command,
            path=unquote(parts.path).lstrip("/").partition("/")[2],
            query={name: values[0] for name, values in parse_qs(parts.query).items()},
            headers={name.lower(): value for name, value in self.headers.items()},
        )
        proxy = self.server.proxy
        refused = proxy.refusal(request)
        if refused is not None:
            status, code = refused
            proxy.note(request, status)
            self._answer(status, {"x-ms-error-code": code, "Content-Type": "application/xml"}, _error(code))
        elif request.comp == "immutabilityPolicies" and request.path.partition("/")[0] in proxy.provisioned:
            proxy.note(request, 200)
            self._answer(200, {MODE: proxy.mode, UNTIL: request.headers[UNTIL], "x-ms-request-id": "0"}, b"")
        else:
            self._pass_on(request, body)

    def _pass_on(self, request: _Request, body: bytes) -> None:
        connection = HTTPConnection(*self.server.upstream)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        proxy = self.server.proxy
        proxy.note(request, response.status)
        headers = {name: value for name, value in response.getheaders() if name.lower() not in _NOT_PASSED}
        if response.status == 200:
            headers |= proxy.about(request)
        if request.comp == "list" and "immutabilitypolicy" in request.query.get("include", ""):
            content = proxy.listed(request.path, content.decode()).encode()
        length = response.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self._answer(response.status, headers, content, length)

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes, length: str | None = None) -> None:
        self.close_connection = True
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)) if length is None else length)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name that the base class gives it)
        """Say nothing: the requests are recorded."""

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _exchange  # noqa: N815  (the names that the base class looks for)


def _error(code: str) -> bytes:
    return f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>no</Message></Error>'.encode()
