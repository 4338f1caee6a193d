"""Credentials that end: tokens in files, tokens of plugins, and the sentences when none is good. Real tokens."""

import os
import sys
from pathlib import Path

import anyio
import pytest
from adapter.tokens import Credentials, credentials_of
from contracts.cluster_harness import Place
from contracts.kubernetes_harness import CELL, KubernetesHarness

from livecalc.cluster.kubernetes import Access, open_kubernetes
from livecalc.domain.errors import InvalidInput, Unavailable

pytestmark = pytest.mark.anyio

SPENT = "eyJhbGciOiJub25lIn0.e30."
"""Looks like a token."""


@pytest.fixture
async def credentials(place: Place, harness: KubernetesHarness) -> Credentials:
    """Those of the namespace's worker, who may read it."""
    return await credentials_of(harness, place.name)


async def test_a_token_in_a_file_is_read_again_when_it_was_refused(
    place: Place, credentials: Credentials, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(SPENT)
    kubeconfig = credentials.kubeconfig(tmp_path, f'tokenFile: "{token}"')

    async with open_kubernetes(Access(kubeconfig=kubeconfig), slots=1, cell=CELL) as cluster:
        token.write_text(credentials.token)
        assert await cluster.get_namespace(place.name) == await place.record()


async def test_wrong_credentials_are_told_and_not_asked_for_all_the_time(
    place: Place, credentials: Credentials, tmp_path: Path
) -> None:
    plugin = Plugin(tmp_path, SPENT)
    kubeconfig = credentials.kubeconfig(tmp_path, plugin.user)

    async with open_kubernetes(Access(kubeconfig=kubeconfig), slots=1, cell=CELL) as cluster:
        for _ in range(3):
            with pytest.raises(Unavailable, match="it does not know the credentials"):
                await cluster.get_namespace(place.name)
    assert plugin.runs == 2  # when it was opened, and once because of the refusals


async def test_a_plugin_is_run_again_when_its_token_was_refused(
    place: Place, credentials: Credentials, tmp_path: Path
) -> None:
    plugin = Plugin(tmp_path, SPENT)
    kubeconfig = credentials.kubeconfig(tmp_path, plugin.user)

    async with open_kubernetes(Access(kubeconfig=kubeconfig), slots=1, cell=CELL) as cluster:
        plugin.give(credentials.token)
        await cluster.get_namespace(place.name)
        await cluster.get_namespace(place.name)
    assert plugin.runs == 2


@pytest.mark.parametrize(("ends_at", "runs"), [("2000-01-01T00:00:00Z", 3), ("2100-01-01T00:00:00Z", 1)])
async def test_a_plugin_is_run_again_when_its_token_ends(
    place: Place, credentials: Credentials, tmp_path: Path, ends_at: str, runs: int
) -> None:
    plugin = Plugin(tmp_path, credentials.token, ends_at)
    kubeconfig = credentials.kubeconfig(tmp_path, plugin.user)

    async with open_kubernetes(Access(kubeconfig=kubeconfig), slots=1, cell=CELL) as cluster:
        await cluster.get_namespace(place.name)
        await cluster.get_namespace(place.name)
    assert plugin.runs == runs


async def test_a_plugin_that_fails_says_why(credentials: Credentials, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text("#!/bin/sh\necho please log in >&2\nexit 1\n")
    plugin.chmod(0o700)
    kubeconfig = credentials.kubeconfig(tmp_path, _exec(plugin))

    with pytest.raises(InvalidInput, match=r"kubeconfig .* cannot be used: .*please log in"):
        async with open_kubernetes(Access(kubeconfig=kubeconfig), slots=1, cell=CELL):
            pass


@pytest.mark.parametrize("text", ["", "not: a: kubeconfig", "[1, 2]", "apiVersion: v1\nkind: Config\n"])
async def test_what_is_no_kubeconfig_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)

    for path in (file, tmp_path / "absent"):
        with pytest.raises(InvalidInput, match=f"kubeconfig {path} cannot be used: "):
            async with open_kubernetes(Access(kubeconfig=str(path)), slots=1, cell=CELL):
                pass


async def test_a_context_is_chosen_by_its_name(place: Place, credentials: Credentials, tmp_path: Path) -> None:
    kubeconfig = credentials.kubeconfig(tmp_path, f'token: "{credentials.token}"')

    async with open_kubernetes(Access(kubeconfig=kubeconfig, context="tests"), slots=1, cell=CELL) as cluster:
        assert cluster.name == "kubernetes, context tests"
        await cluster.get_namespace(place.name)
    with pytest.raises(InvalidInput, match="absent"):
        async with open_kubernetes(Access(kubeconfig=kubeconfig, context="absent"), slots=1, cell=CELL):
            pass


IN_CLUSTER = """
import asyncio, sys
from pathlib import Path
from livecalc.cluster.kubernetes import Access, CellSettings, open_kubernetes

async def main(account, namespace, token):
    async with open_kubernetes(Access(account=account), slots=1, cell=CellSettings(egress=())) as cluster:
        print(cluster.name)
        (account / "token").write_text(token)
        print((await cluster.get_namespace(namespace)).name)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
"""


async def test_inside_a_pod_the_service_accounts_new_token_is_used(
    place: Place, credentials: Credentials, tmp_path: Path
) -> None:
    (tmp_path / "ca.crt").write_bytes(credentials.authority.read_bytes())
    (tmp_path / "token").write_text(SPENT)
    host, _, port = credentials.server.removeprefix("https://").rpartition(":")
    kept = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}

    done = await anyio.run_process(
        [sys.executable, "-c", IN_CLUSTER, str(tmp_path), place.name, credentials.token],
        env={**kept, "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port},
    )

    assert done.stdout.decode().splitlines() == ["kubernetes, in cluster", place.name]


class Plugin:
    """An exec plugin that gives a token out, and counts how often it was run."""

    def __init__(self, folder: Path, token: str, ends_at: str = "") -> None:
        self._folder = folder
        self._ends_at = ends_at
        plugin = folder / "plugin"
        plugin.write_text(f"#!/bin/sh\necho run >> {folder}/runs\ncat {folder}/answer\n")
        plugin.chmod(0o700)
        self.user = _exec(plugin)
        self.give(token)

    @property
    def runs(self) -> int:
        return len((self._folder / "runs").read_text().splitlines())

    def give(self, token: str) -> None:
        ends_at = f', "expirationTimestamp": "{self._ends_at}"' if self._ends_at else ""
        (self._folder / "answer").write_text(
            '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",'
            f' "status": {{"token": "{token}"{ends_at}}}}}'
        )


def _exec(plugin: Path) -> str:
    return f'exec: {{apiVersion: client.authentication.k8s.io/v1, command: "{plugin}", interactiveMode: Never}}'
