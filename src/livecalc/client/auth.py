"""Bearer tokens for requests: got from a source, kept while they are good, got again before or when they end."""

import base64
import shlex
import subprocess
import time
from collections.abc import Callable, Generator
from http import HTTPStatus
from pathlib import Path

import httpx
from msgspec import Struct

from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import Unauthenticated

_MARGIN = 30.0
"""Seconds before its end at which a token counts as over."""
_PATIENCE = 60.0


class TokenAuth(httpx.Auth):
    """Sends the source's token. A refused one is asked for again, once; an upload that was under way is not resent."""

    def __init__(self, source: Callable[[], str]) -> None:
        self._source = source
        self._token = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header, and try once more when the answer is 401 and the source has another token."""
        token = self._current()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code != HTTPStatus.UNAUTHORIZED:
            return
        self._token = ""
        if isinstance(request.stream, httpx.ByteStream) and (fresh := self._current()) != token:
            request.headers["Authorization"] = f"Bearer {fresh}"
            yield request

    def _current(self) -> str:
        if not self._token or _is_over(self._token):
            self._token = _check(self._source())
        return self._token


def read_token_file(path: Path) -> str:
    """Read the token of LIVECALC_TOKEN_FILE as it is now. Raises Unauthenticated."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Unauthenticated(f"token file {path} cannot be read: {reason}") from None


def run_token_command(command: str) -> str:
    """Run LIVECALC_TOKEN_COMMAND, without a shell, and return what it prints. Raises Unauthenticated."""
    if not command.strip():
        raise Unauthenticated("LIVECALC_TOKEN_COMMAND cannot be run: it is empty")
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=_PATIENCE, check=False)  # noqa: S603  (it is the user's own setting)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise Unauthenticated(f"LIVECALC_TOKEN_COMMAND cannot be run: {_reason(error)}") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise Unauthenticated(f"LIVECALC_TOKEN_COMMAND exited {done.returncode}{': ' + said[-1] if said else ''}")
    return done.stdout


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it did not end within {_PATIENCE:g} s"
    return getattr(error, "strerror", None) or str(error)


def _check(token: str) -> str:
    token = token.strip()
    if not token or not token.isascii() or any(char.isspace() for char in token):
        raise Unauthenticated("the token is empty or holds characters that no token has")
    return token


class _Claims(Struct, frozen=True):
    exp: float | None = None


def _is_over(token: str) -> bool:
    """Tell whether a token says so itself; the server alone decides whether it is good."""
    try:
        payload = token.split(".")[1]
        claims = decode_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), _Claims)
    except (IndexError, ValueError):
        return False
    return claims.exp is not None and claims.exp - _MARGIN < time.time()
