"""Commands whose blobs are to lie in Azure: what they print, and how they end when the store is not usable."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import anyio
import pytest
from support.faults import Fault, faulty

Run = Callable[..., CompletedProcess[str]]
ADDRESS = {"AZURE_BLOB_ACCOUNT_URL": "https://abc.blob.core.windows.net"}
CLIENT = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client"}


def test_a_sweep_prints_only_our_own_lines(livecalc: Run, azurite: str) -> None:
    done = livecalc("cleanup", AZURE_BLOB_CONNECTION_STRING=azurite)
    assert done.returncode == 0
    lines = done.stderr.strip().splitlines()
    assert lines[0].startswith("Target: local, ")
    assert [line.split(" - ", 2)[2].split()[0] for line in lines[1:]] == ["Starting", "Found", "Cleanup"]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"AZURE_TOKEN_CREDENTIALS": "nonsense"}, "Invalid value for AZURE_TOKEN_CREDENTIALS: nonsense"),
        ({"AZURE_AUTHORITY_HOST": "http://foo"}, "'http://foo' is an invalid authority"),
        ({**CLIENT, "AZURE_TENANT_ID": "bad/tenant", "AZURE_CLIENT_SECRET": "x"}, "Invalid tenant ID provided"),
        ({**CLIENT, "AZURE_CLIENT_CERTIFICATE_PATH": "/nonexist"}, "No such file or directory: '/nonexist'"),
    ],
    ids=["kind", "authority", "tenant", "certificate"],
)
def test_a_broken_identity_is_one_line(livecalc: Run, home: Path, settings: dict[str, str], why: str) -> None:
    refused(livecalc("jobs", "list", **ADDRESS, **settings), f"AZURE_BLOB_ACCOUNT_URL: no identity can be used: {why}")
    assert not home.exists()


def test_no_token_is_one_line(livecalc: Run, home: Path) -> None:
    settings = {**CLIENT, "AZURE_CLIENT_SECRET": "x", "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"}
    done = livecalc("jobs", "list", **ADDRESS, **settings, AZURE_AUTHORITY_HOST="https://127.0.0.1:1")
    refused(done, "AZURE_BLOB_ACCOUNT_URL names blob store abc.blob.core.windows.net: no token could be had for it (")
    assert not home.exists()


@pytest.mark.parametrize("command", [("cleanup",), ("jobs", "list"), ("retention", "plan")])
def test_a_broken_store_is_refused_before_anything_else(livecalc: Run, home: Path, command: tuple[str, ...]) -> None:
    refused(livecalc(*command, AZURE_BLOB_CONNECTION_STRING="garbage"), "AZURE_BLOB_CONNECTION_STRING=(hidden) is not")
    assert not home.exists()


def test_a_store_with_a_bad_moment_is_no_wrong_setting(livecalc: Run, azurite: str, home: Path) -> None:
    async def run() -> CompletedProcess[str]:
        async with faulty(azurite, lambda _: Fault(status=503)) as proxy:
            setting = proxy.connection_string
            return await anyio.to_thread.run_sync(
                lambda: livecalc("jobs", "list", AZURE_BLOB_CONNECTION_STRING=setting)
            )

    done = anyio.run(run)
    assert done.returncode == 1
    assert "which answers 503: try again later" in done.stderr
    assert not home.exists()


def test_a_home_keeps_to_the_store_that_it_began_with(livecalc: Run, azurite: str, home: Path) -> None:
    """Else a bucket would be submitted to one store and archived to the other, whole in the eyes of both."""
    assert livecalc("jobs", "list", AZURE_BLOB_CONNECTION_STRING=azurite).returncode == 0
    for command in (("jobs", "list"), ("cleanup",), ("retention", "plan")):
        done = livecalc(*command)
        assert done.returncode == 2
        said = done.stderr.strip().splitlines()[-1]
        assert said.startswith(f"Error: home {home} keeps its blobs in http://127.0.0.1:")
        assert said.endswith(
            "/devstoreaccount1, which is not set: set AZURE_BLOB_CONNECTION_STRING or AZURE_BLOB_ACCOUNT_URL to it, "
            "or set LIVECALC_HOME to another folder"
        )


def test_a_home_with_blobs_of_its_own_does_not_leave_them(livecalc: Run, azurite: str, home: Path) -> None:
    assert livecalc("jobs", "list").returncode == 0
    done = livecalc("jobs", "list", AZURE_BLOB_CONNECTION_STRING=azurite)
    assert done.returncode == 2
    assert f"home {home} keeps its blobs in its own folder, not in http://127.0.0.1:" in done.stderr


def refused(done: CompletedProcess[str], why: str) -> None:
    errors = [line for line in done.stderr.splitlines() if not line.startswith("Target: ")]
    assert len(errors) == 1, done.stderr
    assert why in errors[0]
    assert done.returncode == 2
    assert done.stdout == ""
