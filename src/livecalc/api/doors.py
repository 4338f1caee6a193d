"""What every request passes: a request id, a verified caller, and errors that become problems. Plain ASGI."""

import logging
import re
import secrets
import time
from collections.abc import Iterable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livecalc.api.call import Site
from livecalc.api.problems import expected, internal, problem
from livecalc.domain.errors import Unauthenticated
from livecalc.telemetry.notices import collected_notices
from livecalc.wire.notices import HEADER, write_notices

REQUEST_ID = "livecalc.request_id"
PRINCIPAL = "livecalc.principal"
"""Keys of the ASGI scope."""

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_LONGEST_TOKEN = 16 << 10
_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
_log = logging.getLogger("livecalc.api")


class FrontDoor:
    """The outermost: names the request, answers whatever goes wrong behind it, counts and logs."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; lifespan events pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID] = _request_id(scope)
        with collected_notices() as notices:
            await self._serve(scope, receive, _Reply(send, scope[REQUEST_ID], notices))

    async def _serve(self, scope: Scope, receive: Receive, reply: "_Reply") -> None:
        begin = time.monotonic()
        try:
            await self._app(scope, receive, reply.send)
        except ClientDisconnect:
            _log.info("%s the caller left before his request was whole", scope[REQUEST_ID])
        except Exception as error:  # noqa: BLE001  (the one place where any bug becomes a 500)
            await self._answer(error, scope, receive, reply)
        finally:
            self._note(scope, reply, time.monotonic() - begin)

    async def _answer(self, error: Exception, scope: Scope, receive: Receive, reply: "_Reply") -> None:
        known = expected(error)
        if known is None:
            _log.error("%s failed", scope[REQUEST_ID], exc_info=error)
        if reply.status:
            # The response has begun: leaving it incomplete is the only way to say that it failed.
            _log.warning("%s broke off: %s", scope[REQUEST_ID], error if known is None else known.detail)
            return
        response = internal(scope, scope[REQUEST_ID]) if known is None else problem(scope, known)
        await response(scope, receive, reply.send)

    def _note(self, scope: Scope, reply: "_Reply", seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if route != "other" else "*"
        self._site.metrics.count_request(method, route, reply.status, seconds)
        level = logging.INFO if route.startswith("/v1/") else logging.DEBUG
        path = scope.get("raw_path", b"").decode("ascii", "backslashreplace")
        _log.log(level, "%s %s %s %d %.0f ms", scope[REQUEST_ID], scope["method"], path, reply.status, seconds * 1000)


class Authentication:
    """Lets nobody without a good token pass, but to the public paths. Known or not, every other path needs one."""

    def __init__(self, app: ASGIApp, site: Site, public: Iterable[str]) -> None:
        self._app = app
        self._verifier = site.platform.verifier
        self._public = frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Verify the caller, and note him in the scope. Raises Unauthenticated."""
        if scope["type"] == "http" and scope["path"] not in self._public:
            scope[PRINCIPAL] = await self._verifier.verify(_token(scope))
        await self._app(scope, receive, send)


class _Reply:
    """Passes messages on with our headers and what was noticed before it began, and remembers the status."""

    def __init__(self, send: Send, request_id: str, notices: list[str]) -> None:
        self._send = send
        self._headers = [*_HEADERS, (b"x-request-id", request_id.encode("ascii"))]
        self._notices = notices
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = list(message.get("headers", []))
            names = {name for name, _ in given}
            ours = [pair for pair in self._headers if pair[0] not in names]
            warnings = [(HEADER.encode(), value.encode()) for value in write_notices(self._notices)]
            message = {**message, "headers": given + ours + warnings}
        await self._send(message)


def _request_id(scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(given) == 1 and _SANE_ID.fullmatch(given[0]):
        return given[0].decode("ascii")
    return secrets.token_hex(8)


def _token(scope: Scope) -> str:
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if not values:
        raise Unauthenticated("this needs a token: send the header Authorization: Bearer TOKEN")
    scheme, _, token = values[0].partition(b" ")
    if len(values) > 1 or scheme.lower() != b"bearer" or not token or len(token) > _LONGEST_TOKEN:
        raise Unauthenticated("the Authorization header is not valid: send Bearer and one token")
    try:
        return token.decode("ascii")
    except UnicodeDecodeError:
        raise Unauthenticated("the Authorization header is not valid: a token is ASCII") from None
