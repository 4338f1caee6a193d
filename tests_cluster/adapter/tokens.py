"""Real tokens of the service accounts of bucket namespaces, and kubeconfigs that use them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.kubernetes_harness import KUBECONFIG, KubernetesHarness
from kubernetes_asyncio.client.configuration import Configuration
from kubernetes_asyncio.config import kube_config
from msgspec import Struct

from livecalc.cluster.kubernetes.api import Call
from livecalc.cluster.kubernetes.targets import inside

WORKER = "livecalc-worker"


@dataclass(frozen=True)
class Credentials:
    """Somebody's token, and the server that knows it."""

    server: str
    authority: Path
    token: str

    def kubeconfig(self, folder: Path, user: str = "") -> str:
        """Write a kubeconfig with this user, by default with the token; returns its path."""
        file = folder / "kubeconfig"
        file.write_text(
            f"""
apiVersion: v1
kind: Config
current-context: tests
contexts: [{{name: tests, context: {{cluster: tests, user: somebody}}}}]
clusters: [{{name: tests, cluster: {{server: "{self.server}", certificate-authority: "{self.authority}"}}}}]
users: [{{name: somebody, user: {{{user or f'token: "{self.token}"'}}}}}]
"""
        )
        return str(file)


class _Status(Struct):
    token: str


class _TokenRequest(Struct):
    status: _Status


async def token_of(
    harness: KubernetesHarness, namespace: str, account: str = WORKER, pod: str = "", uid: str = ""
) -> str:
    """Have a token made for a service account, bound to a pod if one is named."""
    reference = {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": pod, "uid": uid}} if pod else {}
    target = inside(namespace, "serviceaccounts").at(account).having("token")
    answer = await harness.api.send(Call(verb="create", target=target, body={"spec": reference}))
    return answer.read(_TokenRequest).status.token


async def credentials_of(
    harness: KubernetesHarness, namespace: str, account: str = WORKER, pod: str = "", uid: str = ""
) -> Credentials:
    configuration: Any = Configuration()
    await kube_config.load_kube_config(  # pyright: ignore[reportUnknownMemberType]  (annotated in part)
        KUBECONFIG, client_configuration=configuration, persist_config=False
    )
    token = await token_of(harness, namespace, account, pod, uid)
    return Credentials(configuration.host, Path(configuration.ssl_ca_cert), token)
