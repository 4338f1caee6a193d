"""Where the cluster lives: its folders, names and addresses, said here and nowhere else."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache/cluster"
"""What `down` leaves: binaries and images."""
RUN = CACHE / "run"
"""All state of the running cluster; `down` removes it."""

GO = ROOT / "tools/cluster/go"
BIN = CACHE / "bin"
IMAGES = CACHE / "images"
LOGS = RUN / "logs"
PIDS = RUN / "pids"
HELD = RUN / "held"
CERTIFICATES = RUN / "certificates"
CONFIGURATION = RUN / "configuration"
KUBECONFIG = RUN / "kubeconfig"

NODE = "livecalc"
CGROUP = "livecalc"
LINK = "livecalc0"
"""The link of this machine to the cluster's bridge; only one cluster can have it."""
BRIDGE = "livecalc"
PREFIX = 20
NODE_ADDRESS = "10.244.0.1"
"""The bridge: API server and kubelet listen here, reached by this machine and by pods."""
HOST_ADDRESS = "10.244.0.2"
"""This machine, as pods see it."""
POD_SUBNET = "10.244.0.0/20"
FIRST_POD_ADDRESS = "10.244.0.10"
SERVICE_SUBNET = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_SERVICE_ADDRESS = "10.96.0.10"
"""Nothing answers there yet; without an address kubelet warns on every pod."""
API_PORT = 6443
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
"""As the node sees it: /run there is not this machine's."""

BUSYBOX_IMAGE = "localhost/busybox:1"
BASE_IMAGE = "localhost/python-base:1"
