"""An httpx transport that is a whole server: an ASGI application in a thread of this process, bodies streamed.

httpx's own ASGITransport collects a response before it returns it; following a log or events needs this one.
"""

import weakref
from collections.abc import Iterator

import httpx

from livecalc.embedded.exchange import Chunk, Ended, Exchange, Started
from livecalc.embedded.loopthread import LoopThread, OpenApp


class InProcessTransport(httpx.BaseTransport):
    """Serves a client of this process; may be used from many threads.

    Closing it cancels requests that run and closes the application. One that is never closed is so at exit.
    """

    def __init__(self, open_app: OpenApp) -> None:
        """Open the application and wait until it is up. Raises what opening raises."""
        self._server = LoopThread(open_app)
        # Not a method of self: a finalizer must not keep alive what it waits for.
        self._finalizer = weakref.finalize(self, self._server.abandon)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response as soon as that has begun."""
        exchange = self._server.open(request)
        try:
            event = exchange.next_event()
        except BaseException:
            exchange.disconnect()
            raise
        if not isinstance(event, Started):
            raise httpx.RemoteProtocolError("the application sent a body before the response's start")
        return httpx.Response(event.status, headers=event.headers, stream=_ResponseBody(exchange))

    def close(self) -> None:
        """Cancel what runs, close the application, end the thread. Raises what closing raised; idempotent."""
        self._finalizer.detach()
        self._server.stop()


class _ResponseBody(httpx.SyncByteStream):
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        while not isinstance(event := self._exchange.next_event(), Ended):
            if isinstance(event, Chunk):
                yield event.data

    def close(self) -> None:
        self._exchange.disconnect()
