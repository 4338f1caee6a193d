"""Azurite, a blob store of this machine: for tests, for the demo, and for a person to play with.

`blobstore.py start` leaves one running and says how to use and stop it; `blobstore.py run COMMAND...` runs a command
with one of its own, and with a home of its own: both are gone when it ends. `make azurite` and `make demo
STORE=azurite` call them.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from ctypes import CDLL
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".cache/azurite"
PROGRAM = PLACE / "node_modules/azurite/dist/src/blob/main.js"
PORT = 10000
_LIBC = CDLL(None)
_PR_SET_PDEATHSIG = 1
_LISTENS = "successfully listens"
_START_SECONDS = 60
_QUIET = ("--silent", "--disableTelemetry", "--skipApiVersionCheck")
# The account and key that Azurite documents for everyone; they protect nothing.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def connection_string(port: int, *, key: str = KEY) -> str:
    """What AZURE_BLOB_CONNECTION_STRING must be for an Azurite on a port of this machine."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};"
        f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    )


@contextmanager
def azurite(*options: str) -> Generator[str]:
    """Run one on a free port, with nothing in it, and stop it; yields its connection string."""
    with TemporaryDirectory(prefix="livecalc-azurite-") as folder:
        port = _free_port()
        process = start(port, Path(folder), "--inMemoryPersistence", *options, tied=True)
        try:
            yield connection_string(port)
        finally:
            process.terminate()
            process.wait()


def start(port: int, folder: Path, *options: str, tied: bool = False) -> subprocess.Popen[bytes]:
    """Start one, and wait until it listens; one that is `tied` dies with the thread that started it.

    Raises SystemExit when it does not, or is not installed.
    """
    if not PROGRAM.exists():
        raise SystemExit("Azurite is not installed here: make .cache/azurite")
    where = () if "--inMemoryPersistence" in options else ("--location", str(folder))
    log = folder / "azurite.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["node", str(PROGRAM), "--blobHost", "127.0.0.1", "--blobPort", str(port), *_QUIET, *where, *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(_die_with, os.getpid()) if tied else None,  # noqa: PLW1509  (it takes no lock)
        )
    try:
        _wait(process, log, port)
    except BaseException:  # Ctrl-C too
        process.kill()
        process.wait()
        raise
    return process


def _die_with(parent: int) -> None:
    """In the new process: be killed when the parent ends, however it ends; a SIGTERM runs no `finally`."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _wait(process: subprocess.Popen[bytes], log: Path, port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while _LISTENS not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"Azurite did not start on port {port}: {log.read_text(errors='replace').strip()[-500:]}")
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _leave_running() -> None:
    data = PLACE / "data"
    data.mkdir(parents=True, exist_ok=True)
    pid = PLACE / "pid"
    if pid.exists() and _runs(int(pid.read_text())):
        sys.stderr.write("Azurite runs already.\n")
    else:
        pid.write_text(str(start(PORT, data).pid))
    sys.stdout.write(
        f"export AZURE_BLOB_CONNECTION_STRING='{connection_string(PORT)}'\n"
        "export DIAGNOSTIC_CONTAINER_NAME=diagnostics\n"
    )
    sys.stderr.write(
        f"A blob store listens on 127.0.0.1:{PORT}, with its data in {data}. Set the two lines above, and livecalc\n"
        f"keeps its blobs there. Stop it: kill {pid.read_text()}\n"
    )


def _runs(pid: int) -> bool:
    try:
        return str(PROGRAM).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _run(command: Sequence[str]) -> int:
    """Run a command beside a store, which ends after it however it ends; returns its exit code."""
    asked: list[int] = []
    running: list[subprocess.Popen[bytes]] = []

    def stop(number: int, _: FrameType | None) -> None:
        asked.append(number)
        for process in running:
            if number != signal.SIGINT:  # Ctrl-C reaches the command by itself
                process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    with azurite() as setting, TemporaryDirectory(prefix="livecalc-home-", ignore_cleanup_errors=True) as home:
        if asked:
            return 128 + asked[0]
        settings = {"AZURE_BLOB_CONNECTION_STRING": setting, "LIVECALC_HOME": home, "LIVECALC_HOME_PASSES": "1"}
        try:
            process = subprocess.Popen(command, env={**os.environ, **settings})
        except OSError as error:
            sys.stderr.write(f"{command[0]} cannot be run: {error.strerror}\n")
            return 127
        running.append(process)
        for number in asked:  # those that came meanwhile
            process.send_signal(number)
        code = process.wait()
        return code if code >= 0 else 128 - code


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["start"]:
            signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
            try:
                _leave_running()
            except KeyboardInterrupt:
                sys.exit(128 + signal.SIGINT)
        case ["run", *command] if command:
            sys.exit(_run(command))
        case _:
            sys.exit("usage: blobstore.py start | run COMMAND...")
