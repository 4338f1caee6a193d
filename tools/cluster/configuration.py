"""The files that the components read: kubeconfigs, kubelet, kube-proxy, containerd, and the pods' network."""

import base64
import json
import os
from pathlib import Path
from typing import Any

from .certificates import ADMIN, AUTHORITY, CONTROLLER_MANAGER, KUBELET, KUBELET_SERVER, PROXY, SCHEDULER, Identity
from .place import (
    API_PORT,
    BRIDGE,
    BUSYBOX_IMAGE,
    CGROUP,
    CONFIGURATION,
    CONTAINERD_SOCKET,
    DNS_SERVICE_ADDRESS,
    FIRST_POD_ADDRESS,
    KUBECONFIG,
    NODE,
    NODE_ADDRESS,
    POD_SUBNET,
)

KUBELET_FILE = CONFIGURATION / "kubelet.json"
PROXY_FILE = CONFIGURATION / "kube-proxy.json"
CONTAINERD_FILE = CONFIGURATION / "containerd.toml"
_NETWORKS = CONFIGURATION / "networks"
_RESOLVER = CONFIGURATION / "resolv.conf"


def write_configuration() -> None:
    """Write all of them; the certificates must be there. The kubeconfig of people belongs to who called sudo."""
    _NETWORKS.mkdir(parents=True)
    for identity in (CONTROLLER_MANAGER, SCHEDULER, KUBELET, PROXY):
        _write_json(kubeconfig_of(identity), _kubeconfig(identity))
    _write_json(KUBELET_FILE, _kubelet())
    _write_json(PROXY_FILE, _proxy())
    _write_json(_NETWORKS / "10-bridge.conflist", _network())
    CONTAINERD_FILE.write_text(_containerd())
    _RESOLVER.write_text("# pods have no name server here\n")
    _write_json(KUBECONFIG, _kubeconfig(ADMIN))
    os.chown(KUBECONFIG, int(os.environ.get("SUDO_UID", "0")), int(os.environ.get("SUDO_GID", "0")))


def kubeconfig_of(identity: Identity) -> Path:
    """Where a component's own kubeconfig lies."""
    return CONFIGURATION / f"{identity.file}.kubeconfig"


def _kubeconfig(identity: Identity) -> dict[str, Any]:
    server = {"server": f"https://{NODE_ADDRESS}:{API_PORT}", "certificate-authority-data": _encoded(AUTHORITY)}
    user = {"client-certificate-data": _encoded(identity.certificate), "client-key-data": _encoded(identity.key)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "livecalc", "cluster": server}],
        "users": [{"name": identity.name, "user": user}],
        "contexts": [{"name": "livecalc", "context": {"cluster": "livecalc", "user": identity.name}}],
        "current-context": "livecalc",
    }


def _kubelet() -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(AUTHORITY)}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(KUBELET_SERVER.certificate),
        "tlsPrivateKeyFile": str(KUBELET_SERVER.key),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,  # lower ones need CAP_SYS_RESOURCE, which a container may lack
        "clusterDNS": [DNS_SERVICE_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(_RESOLVER),
        "maxPods": 700,  # 200 namespaces of 3; a bridge has room for 1023 ports
        "volumePluginDir": "/var/lib/kubelet/plugins/volume",
        # The disk is the contributor's: no eviction and no image collection before it is all but full.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def _proxy() -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig_of(PROXY))},
        "mode": "iptables",
        "hostnameOverride": NODE,
        "clusterCIDR": POD_SUBNET,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0},  # the machine's limit is the machine's
        "iptables": {"masqueradeAll": True},  # answers come back through the node, with br_netfilter and without
    }


def _network() -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": POD_SUBNET, "rangeStart": FIRST_POD_ADDRESS, "gateway": NODE_ADDRESS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {
        "cniVersion": "0.4.0",
        "name": "livecalc",
        "plugins": [
            {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": False, "ipam": addresses},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _containerd() -> str:
    return f"""\
version = 2
[grpc]
address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
path = "/run/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{BUSYBOX_IMAGE}"
restrict_oom_score_adj = true  # without CAP_SYS_RESOURCE sandboxes die of their score
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{_NETWORKS}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1))


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
