"""Real commands on a site, killed when something has happened there; and the processes of its pods."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from attack.support.flows import ANA
from attack.support.homes import Site
from support.processes import until

from livecalc.bootstrap.service import local_token
from livecalc.cluster.local.processes import children, pod_of
from livecalc.settings import load

PATIENCE = 60.0


class Command:
    """A `livecalc` command under way, as Ana of tenant acme; what it prints goes to files beside the home."""

    def __init__(self, site: Site, *args: str, url: str = "") -> None:
        self.args = args
        self._printed = site.folder / f"{args[0]}-{time.monotonic_ns()}.out"
        with self._printed.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "livecalc", *args],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**environment(site), "LIVECALC_URL": url},
            )

    @property
    def printed(self) -> str:
        """Everything it has printed."""
        return self._printed.read_text()

    @property
    def job_id(self) -> str:
        """The first job that it names."""
        found = re.search(r"j-[0-9a-z]{12}", self.printed)
        assert found, self.printed
        return found[0]

    def kill(self) -> None:
        """Kill it, and take its status."""
        self.process.kill()
        self.process.wait()

    def end(self, status: int = 0) -> str:
        """Wait for its end; returns what it printed."""
        self.process.wait(PATIENCE)
        assert self.process.returncode == status, f"livecalc {' '.join(self.args)}: {self.printed}"
        return self.printed


def environment(site: Site) -> dict[str, str]:
    """The environment of a command on a site."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("LIVECALC_")}
    token = local_token(load({"LIVECALC_HOME": str(site.home)}), tenant=ANA.tenant_id, user=ANA.user_id)
    return {**own, "LIVECALC_HOME": str(site.home), "LIVECALC_TOKEN": token, "TMPDIR": str(site.folder / "tmp")}


@contextmanager
def serving(site: Site, port: int = 0) -> Generator[tuple[Command, str]]:
    """A server on a site, and its address; killed at the end."""
    server = Command(site, "serve", "--port", str(port))
    try:
        until(lambda: "Serving http://" in server.printed or server.process.poll() is not None, PATIENCE)
        address = server.printed.partition("Serving ")[2].partition(";")[0]
        assert address, server.printed
        yield server, address
    finally:
        server.kill()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def meanwhile(work: Callable[[], object]) -> Generator[None]:
    """Do something in a thread while the block lasts, and let it fail: its other end is killed."""

    def run() -> None:
        with suppress(Exception):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def kill_when(command: Command, site: Site, pattern: str, number: int = 1) -> bool:
    """Kill a command as soon as there are so many such files under the home; False when it had ended before."""
    end = time.monotonic() + PATIENCE
    while count(site, pattern) < number:
        if command.process.poll() is not None:
            return False
        assert time.monotonic() < end, f"there was no {pattern}: {command.printed}"
    command.kill()
    return True


def pod_leaders(site: Site) -> list[int]:
    """The first process of each pod: the worker, which has started all others of it."""
    node = node_pid(site)
    return [pid for pid in children(node) if pod_of(pid) is not None] if node else []


def node_pid(site: Site) -> int:
    """The node of the site's home; 0 when it never had one."""
    lock = site.home / "cluster" / "node.lock"
    return int(lock.read_text() or "0") if lock.exists() else 0


def kill(pid: int) -> None:
    """Kill a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def zombies_of(parents: set[int]) -> list[int]:
    """The ended processes that one of these has not taken the status of."""
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                state, parent, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
                if state == "Z" and int(parent) in parents:
                    found.append(int(folder.name))
    return found


def count(site: Site, pattern: str) -> int:
    """How many such files and folders are under the home."""
    with suppress(OSError):  # a folder that goes while it is looked into
        return len(list(site.home.glob(pattern)))
    return 0
