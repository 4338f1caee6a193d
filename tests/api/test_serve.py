"""The server as a process: it says where it listens, sweeps, and stops gracefully, whatever is going on."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import httpx
import pytest
from support.jobs import WAITING, write_bundle
from support.waiting import eventually

from livecalc.bootstrap.service import local_token
from livecalc.client import Client
from livecalc.cluster.local import LocalCluster
from livecalc.domain.errors import Unavailable
from livecalc.settings import load

pytestmark = pytest.mark.anyio
SCRIPT = Path(__file__).with_name("serving.py")


@dataclass
class Server:
    process: subprocess.Popen[str]
    url: str
    token: str

    @property
    def out(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=20)
        return self.process.returncode, out


@contextmanager
def started(home: Path, every: float = 300, port: int = 0) -> Generator[Server, None, None]:
    command = [sys.executable, str(SCRIPT), str(home), str(port), str(every)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVECALC_")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"Serving (http://127\.0\.0\.1:\d+); docs at /docs\n", line)
            assert found, line + process.stdout.read()
            yield Server(process, found[1], local_token(load({"LIVECALC_HOME": str(home)})))
        finally:
            process.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(tmp_path_factory.mktemp("serve") / "home") as running:
        yield running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_gracefully(tmp_path: Path, number: int) -> None:
    with started(tmp_path / "home") as server:
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert server.end(number) == (0, "closed\n")


def test_a_half_sent_request_does_not_hold_it(tmp_path: Path) -> None:
    with started(tmp_path / "home") as server, socket.create_connection(server.address) as slow:
        slow.sendall(b"POST /v1/bundles HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n")
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert server.end() == (0, "closed\n")


def test_followers_of_a_job_survive_a_restart(tmp_path: Path) -> None:
    """Streams that would go on for ever do not hold a stopping server; a watcher finds the next one by himself."""
    home = tmp_path / "home"
    broken: list[str] = []
    states: list[str] = []

    def read_log(client: Client, chunks: Iterator[bytes]) -> None:
        del client
        try:
            for _ in chunks:
                continue
        except Unavailable as error:
            broken.append(error.detail)

    with started(home) as first, first.http() as http, Client(http, target=first.url) as client:
        handle = client.submit(write_bundle(tmp_path / "b.zip", WAITING), bucket="b1", partitions=2)
        log, jobs = handle.logs(follow=True), client.watch(handle.job_id)
        assert any(b"the model began" in chunk for chunk in log)
        states.append(next(jobs).state)
        reading = threading.Thread(target=read_log, args=(client, log))
        watching = threading.Thread(target=lambda: states.extend(job.state for job in jobs))
        reading.start()
        watching.start()
        begin = time.monotonic()
        code, out = first.end()
        assert (code, out) == (0, "closed\n")
        assert time.monotonic() - begin < 5
        reading.join(20)
        assert [sentence.partition(" (")[0] for sentence in broken] == [f"{first.url} broke off its answer"]
        with started(home, port=first.address[1]) as second:
            assert client.cancel(handle.job_id).state == "cancelled"
            watching.join(30)
            assert states[-1] == "cancelled"
            assert client.reap(handle.submitted.namespace, force=True).success
            assert second.end() == (0, "closed\n")


def test_a_port_in_use_is_one_sentence(server: Server, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "home"), port, "300"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == f"Unavailable port {port} of 127.0.0.1 is in use: choose another with --port\n"


async def test_it_sweeps_by_itself(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with started(home, every=0.2) as server, started(home, every=0.2) as second, server.http() as http:
        client = Client(http, target=server.url)
        for number in range(3):
            client.create_namespace(f"b{number}")
            client.finalize(f"livecalc-bucket-b{number}")

        async def gone() -> bool:
            return not client.namespaces()

        await eventually(gone, within=20)
        assert [archive.bucket_id for archive in client.archives()] == ["b0", "b1", "b2"]
        assert 'livecalc_chores_total{chore="settling",outcome="ok"} 1' in http.get("/metrics").text
        assert server.end()[0] == second.end()[0] == 0


async def test_a_slow_namespace_does_not_hold_the_next_sweep(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with started(home, every=0.2) as server, server.http() as http:
        client = Client(http, target=server.url)
        slow = client.create_namespace("slow").namespace
        cluster = LocalCluster(home / "cluster")
        await cluster.create_volume_claim(slow, "data", finalizers=("example.org/keep",))
        client.finalize(slow)

        async def deleted() -> bool:
            return (await cluster.get_namespace(slow)).terminating

        await eventually(deleted)
        client.finalize(client.create_namespace("late").namespace)

        async def left(*expected: str) -> bool:
            return [each.namespace for each in client.namespaces()] == list(expected)

        await eventually(lambda: left(slow), within=20)
        await cluster.remove_claim_finalizer(slow, "data", "example.org/keep")
        await eventually(left, within=20)
        await cluster.close()
        assert server.end() == (0, "closed\n")


def test_a_body_over_the_limit_is_told_before_it_is_sent(server: Server) -> None:
    """The answer arrives although the body does not: a client that sends on must not lose it."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
    connection.putrequest("POST", "/v1/bundles")
    connection.putheader("Authorization", f"Bearer {server.token}")
    connection.putheader("Content-Length", str(3 << 30))
    connection.endheaders()
    connection.send(b"x" * (1 << 20))
    answer = connection.getresponse()
    assert answer.status == 413
    assert b"2048 MiB" in answer.read()
    connection.close()


def test_a_refused_upload_gets_its_answer(server: Server) -> None:
    with httpx.Client(base_url=server.url, headers={"Authorization": "Bearer x.y.z"}, timeout=20) as stranger:
        answer = stranger.post("/v1/bundles", content=(b"x" * 65536 for _ in range(800)))
    assert answer.status_code == 401


def test_the_typed_client_works_over_a_socket(server: Server) -> None:
    with server.http() as http, Client(http, target=server.url) as client:
        assert client.status().tenant_id == "local"
        created = client.create_namespace("over-tcp")
        assert client.namespace(created.namespace).status == "active"
        now = datetime.now(UTC)
        assert client.audit(since=now - timedelta(minutes=1))
        assert client.verify_audit().holds


def test_a_server_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    with started(tmp_path / "home") as server:
        server.end()
        with server.http() as http, Client(http, target=server.url) as client, pytest.raises(Unavailable) as caught:
            client.status()
    assert re.fullmatch(rf"{server.url} cannot be reached \(.*refused\): is it running\?", caught.value.detail)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\x00\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_no_http(server: Server, raw: bytes) -> None:
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert httpx.get(f"{server.url}/healthz").status_code == 200
