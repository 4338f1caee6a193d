"""The platform in this process, or a server by its address: `connect()` gives the same Client for both.

Nothing heavy is imported before it is called.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livecalc.client import Client

__all__ = ["connect"]


def connect(
    url: str | None = None,
    *,
    home: Path | str | None = None,
    tenant: str | None = None,
    user: str | None = None,
    token: str | None = None,
) -> "Client":
    """Connect to the server at `url` or LIVECALC_URL; without either to the platform in this process.

    `home` (else LIVECALC_HOME) is the folder of the platform in this process; `tenant` and `user` say as whom a
    token of its local identity is made. `token` (else LIVECALC_TOKEN, _TOKEN_FILE, _TOKEN_COMMAND) is sent as it is.
    Close the client, or use it in a `with`; one that is not closed is so at exit.

    Raises InvalidInput for settings that are wrong or contradict each other, Unauthenticated for a server
    without a token, Unavailable or Damaged for a bad home.
    """
    from livecalc.embedded.wiring import Target, open_client

    return open_client(Target(url=url, home=home, tenant=tenant, user=user, token=token))
