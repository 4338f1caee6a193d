"""`tools/blobstore.py run`: the store that it starts ends with it, however it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import blobstore
import pytest
from support.processes import processes_with, until

TOOL = blobstore.__file__


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """What a test starts; killed when the test did not end it."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
    for left in processes_with(str(tmp_path)):
        os.kill(left, signal.SIGKILL)


def begin(tmp_path: Path, *command: str) -> subprocess.Popen[str]:
    """Everything that it starts has the test's folder in its environment."""
    return subprocess.Popen(
        [sys.executable, TOOL, "run", *command],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str], tmp_path: Path) -> tuple[int, str]:
    _, said = process.communicate(timeout=60)
    assert processes_with(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []
    return process.returncode, said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_the_store_starts(
    tmp_path: Path, started: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    started.append(begin(tmp_path, "echo", "it ran"))
    until(lambda: any("main.js" in command for command in commands(tmp_path)))
    os.killpg(started[0].pid, number)
    assert ended(started[0], tmp_path) == (128 + number, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_the_command_runs(
    tmp_path: Path, started: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    started.append(begin(tmp_path, "sleep", "1000"))
    until(lambda: any(command.startswith("sleep") for command in commands(tmp_path)))
    if number == signal.SIGINT:
        os.killpg(started[0].pid, number)  # as a terminal does
    else:
        started[0].send_signal(number)
    assert ended(started[0], tmp_path) == (128 + number, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_store_of_a_test_session_ends_with_it(
    tmp_path: Path, started: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    """Python dies of a SIGTERM at once, and runs no fixture's end."""
    session = "import blobstore, time\nwith blobstore.azurite():\n print('up', flush=True)\n time.sleep(1000)"
    process = subprocess.Popen(
        [sys.executable, "-c", session],
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(TOOL).parent)},
        stdout=subprocess.PIPE,
        text=True,
    )
    started.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.stdout.close()
    process.send_signal(number)
    process.wait()
    until(lambda: processes_with(str(tmp_path)) == [])


def test_the_commands_own_code_is_returned(tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    started.append(
        begin(
            tmp_path, "sh", "-c", 'test -n "$AZURE_BLOB_CONNECTION_STRING" && test -n "$LIVECALC_HOME_PASSES" && exit 7'
        )
    )
    assert ended(started[0], tmp_path) == (7, "")


def test_an_unknown_command_is_one_line(tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    started.append(begin(tmp_path, "no-such-command"))
    assert ended(started[0], tmp_path) == (127, "no-such-command cannot be run: No such file or directory\n")


def commands(tmp_path: Path) -> list[str]:
    found: list[str] = []
    for process in processes_with(str(tmp_path)):
        try:
            found.append(Path(f"/proc/{process}/cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended since
            continue
    return found
