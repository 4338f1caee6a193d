"""The platform that a command speaks to: a server by LIVECALC_URL, else the same application on this machine."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from livecalc.cli.format import plain
from livecalc.cli.output import note
from livecalc.domain.errors import LivecalcError

if TYPE_CHECKING:
    from livecalc.client import Client


@contextmanager
def connected() -> "Generator[Client]":
    """Open a client, say on standard error which platform and tenant it speaks to, and close it at the end."""
    from livecalc.embedded import connect
    from livecalc.settings import load

    target = load().target
    first = target.url is None and not target.home_folder.exists()
    _spare_httpx_its_command_line()
    with connect() as client:
        client.tell_notices(warn)
        note(f"Target: {_target(client)}")
        if first:
            note("Note: on this machine a model runs as a process of yours, with your rights: run those you trust.")
        yield client


def warn(sentence: str) -> None:
    """Say what was left out of an answer."""
    note(f"Warning: {plain(sentence)}")


def _spare_httpx_its_command_line() -> None:
    """Keep httpx from importing a command line of its own, which takes it 50 ms where Rich is installed as here.

    It does without where that import fails, as it does in this way.
    """
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  (None is how Python marks such a module)


def _target(client: "Client") -> str:
    """The platform and the tenant as it sees us; without a tenant when it does not know us, or does not answer."""
    try:
        return f"{client.target}, tenant {plain(client.status().tenant_id)}"
    except LivecalcError:
        # What is wrong is said where it stops the command, and with this line before it.
        return client.target
