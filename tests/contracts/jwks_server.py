"""An issuer that publishes its keys over HTTP on this machine, and counts who asks."""

from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import msgspec


class JwksServer(ThreadingHTTPServer):
    """What it answers are plain attributes that a test changes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.keys: list[dict[str, Any]] = []
        self.status = 200
        self.body: bytes | None = None
        self.requests = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/.well-known/jwks.json"


class _Answer(BaseHTTPRequestHandler):
    server: JwksServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        """Tests print nothing of their server."""

    def do_GET(self) -> None:
        self.server.requests += 1
        body = self.server.body
        if body is None:
            body = msgspec.json.encode({"keys": self.server.keys})
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def jwks_server() -> Generator[JwksServer]:
    with JwksServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
