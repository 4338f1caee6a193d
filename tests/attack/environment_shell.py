"""Run command lines of `livecalc` inside this process, one after the other, and keep what each said.

As a program, `environment_shell.py JSON`, it does so for a process that was started in an odd world: it prints one
line of JSON.
"""

import io
import logging
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from livecalc.cli import door

OURS = ("LIVECALC_", "AZURE_", "JWT_", "ASSUMPTIONS_", "LOG_", "NO_COLOR", "FORCE_COLOR")
"""How the names of settings begin that a test must not inherit."""


class Order(Struct, frozen=True):
    """What a program that was started in an odd world is to do there."""

    lines: list[list[str]]
    settings: dict[str, str]


@dataclass(frozen=True)
class Said:
    """The end of one command."""

    line: str
    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The sentences that say what went wrong."""
        return [line for line in self.err.splitlines() if line.startswith("Error: ")]

    @property
    def warnings(self) -> list[str]:
        """What else is on standard error besides the target, notes and progress."""
        known = (
            "Target: ",
            "Error: ",
            "Packed ",
            "Watch: ",
            "Recomputing ",
            "Job ",
            "Run ",
            "Log: ",
            "Result: ",
            "Submit: ",
        )
        return [line for line in self.err.splitlines() if line and not line.startswith(known)]


def say(*line: str, terminal: bool = False, **settings: str) -> Said:
    """Run one command line; `settings` are environment variables. On a `terminal` styles are not taken out."""
    with _settings(settings), _streams(_Terminal if terminal else io.TextIOWrapper) as (out, err):
        code = door.run(list(line))
    return Said(" ".join(line), code, _text(out), _text(err))


@contextmanager
def _settings(settings: Mapping[str, str]) -> Generator[None]:
    before = dict(os.environ)
    for name in before:
        if name.startswith(OURS):
            del os.environ[name]
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@contextmanager
def _streams(kind: type[io.TextIOWrapper]) -> Generator[tuple[io.TextIOWrapper, io.TextIOWrapper]]:
    before = sys.stdout, sys.stderr
    handlers = logging.getLogger().handlers[:]
    sys.stdout, sys.stderr = (kind(io.BytesIO(), encoding="utf-8", newline="", write_through=True) for _ in range(2))
    try:
        yield sys.stdout, sys.stderr
    finally:
        sys.stdout, sys.stderr = before
        logging.getLogger().handlers[:] = handlers


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    content = stream.buffer
    assert isinstance(content, io.BytesIO)
    return content.getvalue().decode()


def main(order: str) -> None:
    wanted: Order = msgspec.json.decode(order, type=Order)
    said = [say(*line, terminal=False, **wanted.settings) for line in wanted.lines]
    sys.stdout.write(msgspec.json.encode(said).decode())


if __name__ == "__main__":
    main(sys.argv[1])
