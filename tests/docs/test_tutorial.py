"""The tutorial as a reader types it, from top to bottom, on a machine where nobody has used livecalc before."""

import shlex
import socket
import sys
from pathlib import Path

from docs.pages import DOCS, Fence, fences
from docs.transcript import Copies, Session, Shown, check, read_console, reader_environment

PAGE = DOCS / "tutorial.md"
PORT = "8080"


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def steps() -> list[Shown]:
    """The page's commands; a `python` block is a script, and a `text` block behind it is what that prints."""
    found: list[Shown] = []
    before: Fence | None = None
    for fence in fences(PAGE):
        if fence.language == "console":
            found += read_console(fence.body)
        elif fence.language == "python":
            found.append(Shown(f"{shlex.quote(sys.executable)} -c {shlex.quote(fence.body)}", ()))
        elif fence.language == "text":
            assert before is not None
            assert before.language == "python", f"line {fence.line}: output without a script"
            found[-1] = Shown(found[-1].command, tuple(fence.body.splitlines()))
        before = fence
    return found


def test_every_command_does_what_is_shown(tmp_path: Path) -> None:
    folder, home, port = tmp_path / "folder", tmp_path / "home", free_port()
    folder.mkdir()
    home.mkdir()
    copies = Copies()
    with Session(folder, reader_environment(home)) as session:
        for shown in steps():
            check(session, copies, Shown(shown.command.replace(PORT, port), shown.output))
    assert (home / ".livecalc").is_dir()
