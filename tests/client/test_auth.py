"""Where tokens come from, when they are asked for again, and what is said when there is none."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from livecalc.client.auth import TokenAuth, read_token_file, run_token_command
from livecalc.domain.errors import Unauthenticated


def token(name: str, *, lives: float = 3600) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + lives, "n": name}).encode()).decode().rstrip("=")
    return f"head.{claims}.signature"


class Server(httpx.BaseTransport):
    """Accepts one token."""

    def __init__(self, good: str) -> None:
        self.good = good
        self.seen: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        for _ in request.stream:
            continue
        self.seen.append(request.headers["authorization"].removeprefix("Bearer "))
        return httpx.Response(200 if self.seen[-1] == self.good else 401)


def source(*tokens: str) -> Callable[[], str]:
    left = iter(tokens)
    return lambda: next(left)


def client(server: Server, supply: Callable[[], str]) -> httpx.Client:
    return httpx.Client(transport=server, auth=TokenAuth(supply), base_url="http://x")


def test_a_token_is_kept_while_it_lives() -> None:
    server = Server(token("a"))
    with client(server, source(server.good)) as http:
        assert [http.get("/").status_code for _ in range(3)] == [200] * 3


def test_a_token_that_ends_is_replaced_before_it_is_sent() -> None:
    fresh = token("b")
    server = Server(fresh)
    with client(server, source(token("a", lives=5), fresh)) as http:
        http.get("/")
        assert http.get("/").status_code == 200
    assert server.seen[-1] == fresh


def test_a_refused_token_is_asked_for_again_once() -> None:
    server = Server("new")
    with client(server, source("old", "new")) as http:
        assert http.post("/", content=b"body").status_code == 200
    assert server.seen == ["old", "new"]
    server = Server("good")
    with client(server, source("bad", "worse", "worse")) as http:
        assert http.get("/").status_code == 401
    assert server.seen == ["bad", "worse"]


def test_the_same_token_is_not_sent_twice() -> None:
    server = Server("good")
    with client(server, lambda: "bad") as http:
        assert http.get("/").status_code == 401
    assert server.seen == ["bad"]


def test_an_upload_is_not_sent_twice() -> None:
    server = Server("new")

    def once() -> Iterator[bytes]:
        yield b"x"

    with client(server, source("old", "new")) as http:
        assert http.post("/", content=once()).status_code == 401
        assert http.post("/", content=once()).status_code == 200


@pytest.mark.parametrize("bad", ["", "  \n", "a b", "ü", "a\nb"])
def test_what_is_no_token_is_not_sent(bad: str) -> None:
    server = Server("x")
    with client(server, lambda: bad) as http, pytest.raises(Unauthenticated):
        http.get("/")
    assert server.seen == []


def test_a_file_is_read_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    server = Server("two")
    with client(server, lambda: read_token_file(file)) as http:
        assert http.get("/").status_code == 401
        file.write_text("two\n")
        assert http.get("/").status_code == 200
    file.unlink()
    with pytest.raises(Unauthenticated, match=r"token file .* cannot be read: No such file"):
        read_token_file(file)
    file.write_bytes(b"\xff")
    with pytest.raises(Unauthenticated, match="not text"):
        read_token_file(file)


def test_a_command_is_run_without_a_shell() -> None:
    assert run_token_command("printf '%s' 'a $HOME;b'") == "a $HOME;b"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("sh -c 'echo log in first >&2; exit 3'", "LIVECALC_TOKEN_COMMAND exited 3: log in first"),
        ("false", "LIVECALC_TOKEN_COMMAND exited 1"),
        ("/nowhere/at-all", "LIVECALC_TOKEN_COMMAND cannot be run: No such file or directory"),
        ("'", "LIVECALC_TOKEN_COMMAND cannot be run: No closing quotation"),
        (" ", "LIVECALC_TOKEN_COMMAND cannot be run: it is empty"),
    ],
)
def test_a_command_that_fails(command: str, sentence: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        run_token_command(command)
    assert caught.value.detail == sentence
