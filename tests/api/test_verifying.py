"""`GET /v1/platform/diagnostics/verify` on a store that goes down on the way: the last line says why."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import pytest
from lifecycle.taps import tap
from starlette.types import ASGIApp
from support.site import BASE

from livecalc.api.app import create_app
from livecalc.blobs.directory import DirectoryStore
from livecalc.bootstrap.service import local_token, open_platform
from livecalc.client import Client
from livecalc.domain.errors import Unavailable
from livecalc.embedded.transport import InProcessTransport
from livecalc.lifecycle.diagnostics.reader import Diagnostics
from livecalc.settings import load

DOWN = "the store does not answer"


async def fill(store: DirectoryStore) -> None:
    for bucket in ("a", "b"):
        await store.write("diagnostics-acme", f"{bucket}/20260126-010504/manifest.json", b"{}")


def fail_at_b(call: str, arguments: tuple[Any, ...]) -> None:
    if call == "read" and str(arguments[1]).startswith("b/"):
        raise Unavailable(DOWN)


def test_the_last_line_says_why_it_breaks_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = load({"LIVECALC_HOME": str(tmp_path / "home")})
    store = DirectoryStore(tmp_path / "home" / "blobs")

    @asynccontextmanager
    async def application() -> AsyncGenerator[ASGIApp, None]:
        async with open_platform(settings) as platform:
            failing = Diagnostics(tap(store, fail_at_b), "diagnostics", platform.audit)
            yield create_app(replace(platform, diagnostics=failing))

    headers = {"Authorization": f"Bearer {local_token(settings, tenant='acme', user='ana')}"}
    transport = InProcessTransport(application)
    with httpx.Client(transport=transport, base_url=BASE, headers=headers, timeout=60) as http:
        http.get("/healthz")  # the store is there when the platform is
        anyio.run(fill, store)
        chunks: list[bytes] = []
        with http.stream("GET", "/v1/platform/diagnostics/verify") as answer, pytest.raises(httpx.HTTPError):
            chunks.extend(answer.iter_raw())
        first, last = [msgspec.json.decode(line) for line in b"".join(chunks).splitlines()]
        assert first["archive"] == "a/20260126-010504"
        assert (last["type"], last["detail"]) == ("/docs#problem-unavailable", DOWN)
        found: list[str] = []
        with pytest.raises(Unavailable, match=DOWN):
            found.extend(each.archive for each in Client(http, target="test").verify_archives())
        assert found == ["a/20260126-010504"]
    told = [record.getMessage() for record in caplog.records if "broke off" in record.getMessage()]
    assert len(told) == 2
    assert all(each.endswith(f"broke off: {DOWN}") for each in told)
