"""Grants that are URLs, against a small blob service that misbehaves on demand."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from livecalc.blobs.https import HttpsGrants
from livecalc.domain.errors import AlreadyExists, Damaged, Forbidden, LivecalcError, NotFound, TooLarge, Unavailable

Trouble = tuple[int, dict[str, str]]


def plain(status: int) -> Trouble:
    return status, {}


class Service(ThreadingHTTPServer):
    """Keeps blobs by path; answers the troubles that a test queued before it answers truly."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.blobs: dict[str, bytes] = {}
        self.troubles: list[Trouble] = []
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}?sig=secret"


class Answer(BaseHTTPRequestHandler):
    server: Service  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    CUT: ClassVar = 0
    STORED_THEN_CUT: ClassVar = 1
    SHORT: ClassVar = 2

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        """Tests print nothing of their server."""

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._note()
        status, headers = self._trouble()
        path = self.path.partition("?")[0]
        if status == self.STORED_THEN_CUT:
            self.server.blobs[path] = body
        if status in {self.CUT, self.STORED_THEN_CUT}:
            self.close_connection = True
        elif status is not None:
            self._answer(status, headers)
        elif path in self.server.blobs:
            self._answer(409, {"x-ms-error-code": "BlobAlreadyExists"})
        else:
            self.server.blobs[path] = body
            self._answer(201, {})

    def do_GET(self) -> None:
        self._note()
        status, headers = self._trouble()
        body = self.server.blobs.get(self.path.partition("?")[0])
        if status == self.CUT:
            self.close_connection = True
        elif status == self.SHORT and body is not None:
            self._answer(200, {}, body[:-1], len(body))
            self.close_connection = True
        elif status is not None:
            self._answer(status, headers)
        elif body is None:
            self._answer(404, {})
        else:
            self._answer(200, {}, body)

    def _note(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers))

    def _trouble(self) -> tuple[int | None, dict[str, str]]:
        return self.server.troubles.pop(0) if self.server.troubles else (None, {})

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"", length: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    with Service() as service:
        thread = Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield service
        service.shutdown()
        thread.join()


@pytest.fixture
def service(running: Service) -> Service:
    running.blobs.clear()
    running.troubles.clear()
    running.seen.clear()
    return running


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def grants(pauses: list[float]) -> HttpsGrants:
    return HttpsGrants(attempts=4, pause=0.5, timeout=5.0, sleep=pauses.append)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"0123456789" * 300_000)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_put_as_the_service_wants_it(service: Service, grants: HttpsGrants, source: Path) -> None:
    grants.create(service.url("/box/a"), source, sha256=digest(source))
    ((method, path, headers),) = service.seen
    assert (method, path) == ("PUT", "/box/a?sig=secret")
    assert headers["x-ms-blob-type"] == "BlockBlob"
    assert headers["x-ms-version"] == "2021-12-02"
    assert headers["if-none-match"] == "*"
    assert headers["content-length"] == "3000000"
    assert headers["content-md5"] == b64encode(hashlib.md5(source.read_bytes()).digest()).decode()  # noqa: S324  (HTTP's own)
    assert "transfer-encoding" not in headers
    assert "authorization" not in headers
    assert service.blobs["/box/a"] == source.read_bytes()


def test_an_empty_file(service: Service, grants: HttpsGrants, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    grants.create(service.url("/box/a"), tmp_path / "empty", sha256=digest(tmp_path / "empty"))
    assert service.seen[0][2]["content-length"] == "0"
    assert grants.fetch(service.url("/box/a"), tmp_path / "copy", limit=0) == 0
    assert (tmp_path / "copy").read_bytes() == b""


def test_what_is_stored_is_fetched(service: Service, grants: HttpsGrants, source: Path) -> None:
    grants.create(service.url("/box/a"), source, sha256=digest(source))
    assert grants.fetch(service.url("/box/a"), source.with_name("copy"), limit=3_000_000) == 3_000_000
    assert source.with_name("copy").read_bytes() == source.read_bytes()
    assert files(source.parent) == ["copy", "source"]


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (plain(409), AlreadyExists), (plain(412), AlreadyExists), (plain(413), TooLarge), (plain(404), NotFound),
        (plain(403), Forbidden), (plain(401), Forbidden), (plain(400), Unavailable),
        ((302, {"Location": "/box/b"}), Unavailable),
        ((403, {"x-ms-error-code": "UnauthorizedBlobOverwrite"}), AlreadyExists),
        ((403, {"x-ms-error-code": "AuthenticationFailed"}), Forbidden),
    ],
)  # fmt: skip
def test_refusals_are_final(
    service: Service, grants: HttpsGrants, source: Path, trouble: Trouble, expected: type[LivecalcError]
) -> None:
    service.troubles.append(trouble)
    with pytest.raises(expected) as caught:
        grants.create(service.url("/box/a"), source, sha256=digest(source))
    assert type(caught.value) is expected
    assert "'box/a'" in caught.value.detail
    assert "secret" not in caught.value.detail
    assert len(service.seen) == 1


def test_a_refused_create_says_that_the_blob_may_be_there(service: Service, grants: HttpsGrants, source: Path) -> None:
    service.troubles.append((403, {}))
    with pytest.raises(Forbidden, match="already there, perhaps from an earlier try"):
        grants.create(service.url("/box/a"), source, sha256=digest(source))


def test_a_lost_answer_is_perhaps_ours(service: Service, grants: HttpsGrants, source: Path) -> None:
    service.troubles += [(Answer.STORED_THEN_CUT, {}), (403, {})]
    with pytest.raises(AlreadyExists, match="perhaps by an earlier try"):
        grants.create(service.url("/box/a"), source, sha256=digest(source))
    service.troubles += [(Answer.STORED_THEN_CUT, {})]
    with pytest.raises(AlreadyExists):
        grants.create(service.url("/box/b"), source, sha256=digest(source))
    assert service.blobs["/box/b"] == source.read_bytes()


def test_being_told_to_wait_is_no_lost_answer(service: Service, grants: HttpsGrants, source: Path) -> None:
    service.troubles += [(429, {}), (403, {})]
    with pytest.raises(Forbidden):
        grants.create(service.url("/box/a"), source, sha256=digest(source))


def test_what_may_pass_is_tried_again(service: Service, grants: HttpsGrants, source: Path, pauses: list[float]) -> None:
    service.troubles += [(500, {}), (Answer.CUT, {}), (503, {"Retry-After": "7"})]
    grants.create(service.url("/box/a"), source, sha256=digest(source))
    assert service.blobs["/box/a"] == source.read_bytes()
    assert 0.25 <= pauses[0] <= 0.75
    assert 0.5 <= pauses[1] <= 1.5
    assert pauses[2:] == [7.0]
    service.troubles += [(408, {}), (429, {}), (Answer.SHORT, {})]
    assert grants.fetch(service.url("/box/a"), source.with_name("copy"), limit=3_000_000) == 3_000_000
    assert source.with_name("copy").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("asked", [("0", 0, 0), ("99999", 60, 60), ("date", 0, 31), ("x", 0.25, 0.75)])
def test_the_pause_that_is_asked_for(
    service: Service, grants: HttpsGrants, source: Path, pauses: list[float], asked: tuple[str, float, float]
) -> None:
    text, least, most = asked
    service.troubles.append((503, {"Retry-After": formatdate(usegmt=True) if text == "date" else text}))
    grants.create(service.url("/box/a"), source, sha256=digest(source))
    assert least <= pauses[0] <= most


def test_trouble_that_stays_ends(service: Service, grants: HttpsGrants, source: Path, pauses: list[float]) -> None:
    service.troubles += [(503, {})] * 10
    with pytest.raises(Unavailable, match=r"answers 503 for 'box/a' \(tried 4 times\)"):
        grants.create(service.url("/box/a"), source, sha256=digest(source))
    assert len(service.seen) == 4
    assert len(pauses) == 3


def test_nobody_there(service: Service, grants: HttpsGrants, source: Path, tmp_path: Path) -> None:
    with Service() as gone:
        url = gone.url("/box/a")
    with pytest.raises(Unavailable, match="does not answer"):
        grants.create(url, source, sha256=digest(source))
    with pytest.raises(Unavailable, match="does not answer"):
        grants.fetch(url, tmp_path / "copy", limit=1)
    assert service.seen == []


def test_a_blob_over_the_limit_is_not_kept(service: Service, grants: HttpsGrants, tmp_path: Path) -> None:
    service.blobs["/box/a"] = b"x" * 1001
    with pytest.raises(TooLarge, match="1000 bytes"):
        grants.fetch(service.url("/box/a"), tmp_path / "copy", limit=1000)
    assert files(tmp_path) == []


def test_a_blob_that_is_always_cut_off_is_not_kept(service: Service, grants: HttpsGrants, tmp_path: Path) -> None:
    service.blobs["/box/a"] = b"x" * 1001
    service.troubles += [(Answer.SHORT, {})] * 4
    with pytest.raises(Unavailable, match="tried 4 times"):
        grants.fetch(service.url("/box/a"), tmp_path / "copy", limit=2000)
    assert files(tmp_path) == []


def test_another_digest_is_not_sent(service: Service, grants: HttpsGrants, source: Path) -> None:
    with pytest.raises(Damaged, match="changed"):
        grants.create(service.url("/box/a"), source, sha256="0" * 64)
    assert service.seen == []


@pytest.mark.parametrize("url", ["", "ftp://x/y", "http://", "file:///x", "not a url", "http://a:b/x"])
def test_no_url_at_all(grants: HttpsGrants, source: Path, url: str) -> None:
    with pytest.raises(Forbidden):
        grants.create(url, source, sha256=digest(source))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
