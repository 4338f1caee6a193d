"""The seven processes of the cluster: what each is called, and its command line."""

from pathlib import Path

from .certificates import (
    API_SERVER,
    AUTHORITY,
    CONTROLLER_MANAGER,
    FRONT_PROXY,
    KUBELET,
    KUBELET_CLIENT,
    SCHEDULER,
    SERVICE_ACCOUNT_KEY,
    SERVICE_ACCOUNT_PUBLIC_KEY,
    Identity,
)
from .configuration import CONTAINERD_FILE, KUBELET_FILE, PROXY_FILE, kubeconfig_of
from .place import API_PORT, BIN, CONTAINERD_SOCKET, NODE, NODE_ADDRESS, RUN, SERVICE_SUBNET

_ETCD = "http://127.0.0.1:2379"  # the loopback of the node's own network

NEEDS = {"kubelet": Path(CONTAINERD_SOCKET)}
"""What must be there before a component starts: without it, it would only end at once."""


def commands() -> dict[str, list[str]]:
    """Each component's command line by its name, in the order in which to start them."""
    return {
        "etcd": _etcd(),
        "containerd": ["/usr/bin/containerd", f"--config={CONTAINERD_FILE}"],
        "kube-apiserver": _api_server(),
        "kube-controller-manager": _controller_manager(),
        "kube-scheduler": _scheduler(),
        "kubelet": _kubelet(),
        "kube-proxy": [f"{BIN}/kube-proxy", f"--config={PROXY_FILE}"],
    }


def _etcd() -> list[str]:
    peers = "http://127.0.0.1:2380"
    return [
        "/usr/bin/etcd",
        "--name=livecalc",
        f"--data-dir={RUN}/etcd",
        "--unsafe-no-fsync",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=livecalc={peers}",
    ]


def _api_server() -> list[str]:
    return [
        f"{BIN}/kube-apiserver",
        f"--etcd-servers={_ETCD}",
        f"--bind-address={NODE_ADDRESS}",
        f"--advertise-address={NODE_ADDRESS}",
        f"--secure-port={API_PORT}",
        *_served_as(API_SERVER),
        f"--client-ca-file={AUTHORITY}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--service-cluster-ip-range={SERVICE_SUBNET}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={SERVICE_ACCOUNT_PUBLIC_KEY}",
        f"--service-account-signing-key-file={SERVICE_ACCOUNT_KEY}",
        f"--kubelet-client-certificate={KUBELET_CLIENT.certificate}",
        f"--kubelet-client-key={KUBELET_CLIENT.key}",
        f"--kubelet-certificate-authority={AUTHORITY}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={AUTHORITY}",
        f"--requestheader-allowed-names={FRONT_PROXY.name}",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={FRONT_PROXY.certificate}",
        f"--proxy-client-key-file={FRONT_PROXY.key}",
    ]


def _controller_manager() -> list[str]:
    return [
        f"{BIN}/kube-controller-manager",
        *_calls_as(CONTROLLER_MANAGER),
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--root-ca-file={AUTHORITY}",
        f"--service-account-private-key-file={SERVICE_ACCOUNT_KEY}",
        "--enable-hostpath-provisioner",
        "--kube-api-qps=100",  # with the 20 of the default its start alone takes 5 s
        "--kube-api-burst=200",
    ]


def _scheduler() -> list[str]:
    return [f"{BIN}/kube-scheduler", *_calls_as(SCHEDULER), "--bind-address=127.0.0.1", "--leader-elect=false"]


def _kubelet() -> list[str]:
    return [
        f"{BIN}/kubelet",
        f"--config={KUBELET_FILE}",
        f"--kubeconfig={kubeconfig_of(KUBELET)}",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_ADDRESS}",
    ]


def _served_as(identity: Identity) -> list[str]:
    return [f"--tls-cert-file={identity.certificate}", f"--tls-private-key-file={identity.key}"]


def _calls_as(identity: Identity) -> list[str]:
    """With no lookup for those who would call it: it would not start before the API server."""
    return [f"--kubeconfig={kubeconfig_of(identity)}", "--authentication-skip-lookup=true"]
