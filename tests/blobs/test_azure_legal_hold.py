"""A legal hold of Azure's own, which Azurite does not have: how the service tells of it, and how the store does."""

from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from livecalc.blobs.azure import connect

pytestmark = pytest.mark.anyio
KEY = "a2V5"
SAYS = {"x-ms-request-id": "1"}
ABOUT = {**SAYS, "Content-Type": "text/plain", "Last-Modified": "Sun, 25 Jan 2026 01:00:00 GMT", "ETag": '"1"'}
"""What every answer about a blob has; the elements and headers are those of "List Blobs" and "Get Blob Properties"."""
LISTED = (
    b"<Blob><Name>%s</Name><Properties><Last-Modified>Sun, 25 Jan 2026 01:00:00 GMT</Last-Modified><Etag>1</Etag>"
    b"<Content-Length>1</Content-Length><BlobType>BlockBlob</BlobType>%s</Properties></Blob>"
)


class _Service(BaseHTTPRequestHandler):
    """Has two blobs in one container, and holds the first."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_HEAD(self) -> None:
        held = {"x-ms-legal-hold": "true"} if self.path.partition("?")[0].endswith("/held") else {}
        self._answer({**ABOUT, **held, "x-ms-blob-type": "BlockBlob"}, b"")

    def do_GET(self) -> None:
        self.asked.append(self.path)
        found = LISTED % (b"free", b"") + LISTED % (b"held", b"<LegalHold>true</LegalHold>")
        body = b"" if "comp=list" not in self.path or "restype=container" not in self.path else found
        kind = b"Blobs" if body else b"Containers"
        xml = b"<EnumerationResults><%s>%s</%s><NextMarker/></EnumerationResults>" % (kind, body, kind)
        self._answer({**SAYS, "Content-Type": "application/xml"}, xml)

    def _answer(self, headers: dict[str, str], body: bytes) -> None:
        self.close_connection = True
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body) or 1), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name that the base class gives it)
        """Say nothing."""


@contextmanager
def service() -> Generator[tuple[str, list[str]]]:
    """Listen on loopback; gives the connection string and what is asked for."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Service", (_Service,), {"asked": asked}))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}/account"
    try:
        yield f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={KEY};BlobEndpoint={address}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_legal_hold_is_seen() -> None:
    with service() as (connection_string, asked):
        async with connect(connection_string=connection_string) as store:
            assert (await store.stat("box", "held")).legal_hold
            assert not (await store.stat("box", "free")).legal_hold
            found = {info.name: info.legal_hold async for info in store.list_blobs("box")}
        assert found == {"free": False, "held": True}
        assert "legalhold" in asked[-1]
        assert "immutabilitypolicy" in asked[-1]
