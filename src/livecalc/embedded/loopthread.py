"""An event loop in a thread of its own, in which one ASGI application lives from its start to its end."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import httpx
from starlette.types import ASGIApp, Message

from livecalc.embedded.exchange import Exchange

OpenApp = Callable[[], AbstractAsyncContextManager[ASGIApp]]
"""Makes the application, inside the loop; leaving the context closes what it stands on."""

_log = logging.getLogger(__name__)
_EXIT_PATIENCE = 5.0
"""Seconds that an interpreter which ends waits for an application that nobody closed."""


class LoopThread:
    """The thread. Made running, and stopped once; exchanges are served until then."""

    def __init__(self, open_app: OpenApp) -> None:
        """Start the thread and wait until the application is up. Raises what opening it raises."""
        self._open_app = open_app
        self._lock = threading.Lock()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready: Future[ASGIApp] = Future()
        self._outcome: Future[None] = Future()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="livecalc-in-process", daemon=True)
        self._thread.start()
        try:
            self._app = self._ready.result()
        except BaseException:
            self._request_stop()
            raise

    def open(self, request: httpx.Request) -> Exchange:
        """Begin to serve a request. Raises ConnectError when the thread has been stopped."""
        with self._lock:
            if self._closing or self._loop is None:
                raise httpx.ConnectError("the platform in this process is closed")
            exchange = Exchange(request, self._loop)
            self._loop.call_soon_threadsafe(self._serve, self._loop, exchange)
        return exchange

    def stop(self) -> None:
        """Cancel what runs, end the application, and wait for it. Raises what closing raised; idempotent."""
        self._request_stop()
        if threading.current_thread() is not self._thread:
            self._outcome.result()
            self._thread.join()

    def abandon(self) -> None:
        """Stop as well as can be, for an owner that was collected or an interpreter that ends."""
        self._request_stop()
        if threading.current_thread() is not self._thread:
            self._thread.join(_EXIT_PATIENCE)

    def _request_stop(self) -> None:
        with self._lock:
            if self._closing:
                return
            self._closing = True
            if self._loop is not None:
                # Behind every exchange that was opened before: their tasks exist when they are cancelled.
                with suppress(RuntimeError):  # the loop is closed already
                    self._loop.call_soon_threadsafe(self._stop.set)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001  (handed to whoever waits: the opener, or the closer)
            if not self._ready.done():
                self._ready.set_exception(error)
            elif not self._closing:
                _log.exception("the platform in this process failed")
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(None)

    async def _main(self) -> None:
        with self._lock:
            self._loop = asyncio.get_running_loop()
            if self._closing:
                return
        async with self._open_app() as app, _lifespan(app):
            self._ready.set_result(app)
            try:
                await self._stop.wait()
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def _serve(self, loop: asyncio.AbstractEventLoop, exchange: Exchange) -> None:
        task = loop.create_task(exchange.application.run(self._app))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def _lifespan(app: ASGIApp) -> AsyncGenerator[None, None]:
    """Take an application through its start, and at the end through its shutdown."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    running = asyncio.ensure_future(app(scope, to_app.get, from_app.put))
    await _phase("startup", running, to_app, from_app)
    try:
        yield
    finally:
        await _phase("shutdown", running, to_app, from_app)
        await running


async def _phase(
    phase: str, running: "asyncio.Future[None]", to_app: asyncio.Queue[Message], from_app: asyncio.Queue[Message]
) -> None:
    to_app.put_nowait({"type": f"lifespan.{phase}"})
    answer = asyncio.ensure_future(from_app.get())
    try:
        await asyncio.wait({running, answer}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done() or answer.result()["type"] != f"lifespan.{phase}.complete":
            await running
            raise RuntimeError(f"the application did not complete its {phase}")
    finally:
        answer.cancel()
