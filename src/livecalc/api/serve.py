"""Serve the application over HTTP: listen, sweep every few minutes, stop gracefully."""

import asyncio
import errno
import logging
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn
from starlette.applications import Starlette

from livecalc.api.app import Lifespan, create_app
from livecalc.api.call import Site
from livecalc.api.routes import ROUTES
from livecalc.domain.errors import InvalidInput, LivecalcError, Unavailable
from livecalc.records.paths import results_container
from livecalc.services import Platform

SWEEP_SECONDS = 300.0
_GRACE_SECONDS = 10
"""How long requests that run may take to end after the signal; streams are ended at once."""
_SWEEPS_AT_ONCE = 8
"""A sweep that still works at slow namespaces keeps none from beginning, until there are so many."""
_CHORES = {"sweep": "The sweep", "settling": "Collecting the jobs that ended while nobody looked"}
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_log = logging.getLogger("livecalc.serve")


async def serve(
    platform: Platform,
    host: str,
    port: int,
    *,
    sweep_every: float = SWEEP_SECONDS,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then return; port 0 takes a free one.

    `announce` gets one line with the address once it listens (default: standard error). A sweep runs at the start
    and every `sweep_every` seconds, even while one before still works at slow namespaces; one that fails is logged.
    Raises Unavailable (the port is in use), InvalidInput (no such host).
    """
    listener = await asyncio.to_thread(_listen, host, port)
    site = Site(platform=platform, routes=ROUTES)
    app = create_app(platform, lifespan=_chores(site, sweep_every), site=site)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    _quieten(logging.getLogger("uvicorn.error"))
    with listener:
        server = _Server(config, site, lambda: (announce or _say)(f"Serving {_address(listener)}; docs at /docs"))
        await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """Says when it listens, and leaves by returning: uvicorn would end the process by the signal it got."""

    def __init__(self, config: uvicorn.Config, site: Site, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._site = site
        self._announce = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._site.stopping.set()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _STOP_SIGNALS:
                loop.remove_signal_handler(number)


def _chores(site: Site, every: float) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None, None]:
        del app
        chores = asyncio.create_task(_work(site, every))
        try:
            yield
        finally:
            site.stopping.set()
            # A sweep that runs may end its reaps; cancelled, it leaves claims that the next sweep takes over.
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_SECONDS):
                    await chores

    return lifespan


async def _work(site: Site, every: float) -> None:
    await _attempt(site, "settling", _settle)
    sweeps: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:
        while not site.stopping.is_set():
            if len(sweeps) < _SWEEPS_AT_ONCE:
                sweep = group.create_task(_attempt(site, "sweep", _sweep))
                sweeps.add(sweep)
                sweep.add_done_callback(sweeps.discard)
            with suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await site.stopping.wait()


async def _attempt(site: Site, chore: str, work: Callable[[Platform], Awaitable[None]]) -> None:
    outcome = "failed"
    try:
        await work(site.platform)
        outcome = "ok"
    except LivecalcError as error:
        _log.error("%s failed: %s", _CHORES[chore], error.detail)
    except Exception:  # noqa: BLE001  (whatever it was, serving goes on, and so do the next sweeps)
        _log.exception("%s failed", _CHORES[chore])
    site.metrics.count_chore(chore, outcome)


async def _settle(platform: Platform) -> None:
    """Collect the jobs that ended while nobody looked."""
    everyone = results_container("")
    for container in await platform.blobs.list_containers(everyone):
        try:
            await platform.jobs.settle(container.removeprefix(everyone))
        except LivecalcError as error:
            _log.warning("the jobs in %s were not all collected: %s", container, error.detail)


async def _sweep(platform: Platform) -> None:
    await platform.reaper.sweep()


def _quieten(log: logging.Logger) -> None:
    """Leave of uvicorn's log what is not said better: a stream that was broken off has its line from the front door."""
    log.setLevel(logging.WARNING)
    log.addFilter(lambda record: "returned without completing response" not in record.getMessage())


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, OverflowError, UnicodeError):
        raise InvalidInput(f"cannot listen on {host!r}, port {port}: there is no such address") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(f"port {port} of {host} is in use: choose another with --port") from None
        raise InvalidInput(f"cannot listen on {host}, port {port}: {error.strerror}") from None
    listener.setblocking(False)  # noqa: FBT003  (the socket module's own signature)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
