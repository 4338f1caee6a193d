"""Run what a page shows in its ```console blocks, and hold what is shown beside what is printed.

The rule. A line that begins with `$ ` is a command; bash runs all commands of a page in one session, and each must
exit 0. The lines below it are shown output: each must be among the lines that the command prints, in that order; lines
that are not shown were cut as a whole. Two lines are the same when their words are, whatever stands between them;
numbers and all other words with a digit may be others, and a plural's `s` may come or go with them. But what is copied
from output into later commands is the same throughout the page: a job's id, a hash of 12 digits or more, an archive's
time. Where the page shows one twice, the same one must be printed twice; where a command has one, the printed one is
put in its place. A hash that is the same for everybody is compared as it is: one that stands behind the word `bundle`,
and all that a `livecalc bundle` command prints. A result's hash is not such a one, because a model's last bits may
depend on the CPU.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple, Self

LIMIT = 120.0
"""Seconds that one command may take."""
_COPIED = re.compile(r"\bj-[0-9a-z]{12}\b|\b[0-9a-f]{12,64}\b|\b\d{8}-\d{6}\b", re.ASCII)
_OF_A_BUNDLE = re.compile(r"\bbundle\s+([0-9a-f]{12,64})\b", re.ASCII | re.IGNORECASE)
_MARK = "end-of-command"
_OURS = ("LIVECALC_", "AZURE_", "JWT_", "ASSUMPTIONS_", "LOG_", "NO_COLOR", "FORCE_COLOR")


class Shown(NamedTuple):
    """A command of a page, and the output shown below it."""

    command: str
    output: tuple[str, ...]


def read_console(body: str) -> list[Shown]:
    """Split a console block into its commands."""
    commands: list[tuple[str, list[str]]] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif line.strip():
            assert commands, f"a console block begins with a command, not with {line!r}"
            commands[-1][1].append(line)
    return [Shown(command, tuple(output)) for command, output in commands]


class Copies:
    """What stands on the page for what was printed: one for one, both ways."""

    def __init__(self) -> None:
        self._printed: dict[str, str] = {}

    def put_into(self, command: str) -> str:
        """A command as somebody types it who copies from what was printed for him."""
        return _COPIED.sub(lambda match: self._printed.get(match[0], match[0]), command)

    def match(self, shown: str, printed: str) -> bool:
        """Tell whether a shown line stands for a printed one, and remember what it stands for."""
        if not _same_words(shown.split(), printed.split()):
            return False
        if _OF_A_BUNDLE.findall(shown) != _OF_A_BUNDLE.findall(printed):
            return False
        pairs = list(zip(_COPIED.findall(shown), _COPIED.findall(printed), strict=False))
        shown_before = {here: there for there, here in self._printed.items()}
        if any(self._printed.get(a, b) != b or shown_before.get(b, a) != a for a, b in pairs):
            return False
        self._printed.update(pairs)
        return True

    def missing(self, shown: tuple[str, ...], printed: list[str]) -> str | None:
        """The first shown line that was not printed after those before it; None when all were."""
        left = iter(printed)
        return next((line for line in shown if not any(self.match(line, other) for other in left)), None)


def _same_words(shown: list[str], printed: list[str]) -> bool:
    return len(shown) == len(printed) and all(map(_same_word, shown, printed))


def _same_word(shown: str, printed: str) -> bool:
    if _has_digit(shown) and _has_digit(printed):
        return True
    return shown == printed or shown.rstrip("s") == printed.rstrip("s") != ""


def _has_digit(word: str) -> bool:
    return any("0" <= char <= "9" for char in word)


def reader_environment(home: Path) -> dict[str, str]:
    """The environment of a reader called ana whose home folder is `home`, with this environment's `livecalc`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return {**kept, "HOME": str(home), "LOGNAME": "ana", "USER": "ana", "PATH": path, "LANG": "C.UTF-8"}


class Session:
    """One bash, as a reader's terminal. A context manager: what still runs in it at the end is ended."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._heard = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGTERM)
        finally:
            self._process.wait(LIMIT)
            self._reader.join(LIMIT)
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()

    def run(self, command: str) -> tuple[int, list[str]]:
        """Run a command to its end; returns its exit status and the lines that were printed meanwhile."""
        assert self._process.stdin is not None
        with self._heard:
            first = len(self._lines)
        self._process.stdin.write(f"{command}\nprintf '\\n{_MARK} %s\\n' $?\n")
        self._process.stdin.flush()
        end = time.monotonic() + LIMIT
        with self._heard:
            while not any(line.startswith(_MARK) for line in self._lines[first:]):
                assert self._heard.wait(end - time.monotonic()), f"$ {command}\ndid not end within {LIMIT:g} s"
            printed = self._lines[first:]
        last = next(index for index, line in enumerate(printed) if line.startswith(_MARK))
        return int(printed[last].split()[1]), printed[:last]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._heard:
                self._lines.append(line.rstrip("\n"))
                self._heard.notify_all()


def check(session: Session, copies: Copies, shown: Shown) -> None:
    """Run a command of a page, and fail with both outputs when it is not as shown."""
    status, printed = session.run(copies.put_into(shown.command))
    told = "\n".join([f"$ {shown.command}", *printed])
    assert status == 0, f"{told}\nexit {status}"
    missing = copies.missing(shown.output, printed)
    assert missing is None, f"{told}\n\nwas shown, and not printed there: {missing}"
    if shown.command.startswith("livecalc bundle "):
        hashes = {word for line in printed for word in _COPIED.findall(line)}
        others = [word for line in shown.output for word in _COPIED.findall(line) if word not in hashes]
        assert not others, f"{told}\n\nwas shown, and is the same for everybody: {others[0]}"
