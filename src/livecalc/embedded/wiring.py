"""Which platform a client speaks to, as whom, and how: the only in-process wiring."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import msgspec
from msgspec import Struct
from starlette.types import ASGIApp

from livecalc import __version__
from livecalc.client import Client
from livecalc.client.auth import TokenAuth, read_token_file, run_token_command
from livecalc.domain.errors import InvalidInput, Unauthenticated
from livecalc.settings import Settings, load

_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
"""Seconds of silence; for what takes longer the client waits by itself."""
_IN_PROCESS = "http://livecalc.local"


class Target(Struct, frozen=True, kw_only=True):
    """What a caller of `connect` says; the environment says the rest."""

    url: str | None = None
    home: Path | str | None = None
    tenant: str | None = None
    user: str | None = None
    token: str | None = None


def open_client(target: Target) -> Client:
    """Open the client that a target and the environment describe.

    Raises InvalidInput, Unauthenticated (no token for a server), Unavailable, Damaged.
    """
    settings = _settings(target)
    if settings.target.url is None:
        return _in_process(settings, target)
    if target.tenant or target.user:
        raise InvalidInput("tenant and user are those of the token: leave them out for a server (LIVECALC_URL)")
    source = _token_source(settings, target)
    if source is None:
        raise Unauthenticated(
            f"{settings.target.url} needs a token: set LIVECALC_TOKEN, LIVECALC_TOKEN_FILE or LIVECALC_TOKEN_COMMAND"
        )
    return _remote(settings.target.url, source)


def _settings(target: Target) -> Settings:
    settings = load()
    url = target.url or (None if target.home else settings.target.url)
    if target.url and target.home:
        raise InvalidInput("url and home contradict each other: a server has its own home")
    home = settings.target.home if target.home is None else str(target.home)
    return msgspec.structs.replace(settings, target=msgspec.structs.replace(settings.target, url=url, home=home))


def _remote(url: str, source: Callable[[], str]) -> Client:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidInput(f"LIVECALC_URL={url!r} is not an address: {error}") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise InvalidInput(f"LIVECALC_URL={url!r} is not an address: use one like https://livecalc.example.com")
    if parsed.userinfo:
        raise InvalidInput("LIVECALC_URL holds a user or password: give a token instead")
    http = httpx.Client(base_url=parsed, auth=TokenAuth(source), timeout=_TIMEOUT, headers=_headers())
    return Client(http, target=str(parsed).rstrip("/"), pack=_packer(load()))


def _in_process(settings: Settings, target: Target) -> Client:
    from livecalc.api.app import create_app
    from livecalc.bootstrap.service import local_token, open_platform
    from livecalc.embedded.transport import InProcessTransport

    @asynccontextmanager
    async def application() -> AsyncGenerator[ASGIApp, None]:
        async with open_platform(settings) as platform:
            yield create_app(platform)

    source = _token_source(settings, target) or partial(local_token, settings, tenant=target.tenant, user=target.user)
    transport = InProcessTransport(application)
    http = httpx.Client(
        base_url=_IN_PROCESS,
        transport=transport,
        auth=TokenAuth(source),
        timeout=httpx.Timeout(None),
        headers=_headers(),
    )
    return Client(http, target=settings.own_target, pack=_packer(settings))


def _token_source(settings: Settings, target: Target) -> Callable[[], str] | None:
    """What is asked for tokens, the most explicit first; None when nothing is set."""
    token, file, command = settings.target.token, settings.target.token_file, settings.target.token_command
    if target.token is not None:
        return lambda: target.token or ""
    if target.tenant is not None or target.user is not None:
        return None
    if token is not None:
        return lambda: token
    if file is not None:
        return partial(read_token_file, Path(file).expanduser())
    if command is not None:
        return partial(run_token_command, command)
    return None


def _packer(settings: Settings) -> Callable[[Path, Path], object]:
    def pack_model(model: Path, target: Path) -> object:
        from livecalc.bootstrap.service import bundle_limits
        from livecalc.bundles.examples import model_folder
        from livecalc.bundles.pack import pack

        return pack(model_folder(str(model)), target, limits=bundle_limits(settings))

    return pack_model


def _headers() -> dict[str, str]:
    return {"User-Agent": f"livecalc/{__version__}"}
