"""What the cluster needs of this machine, checked before anything is touched; says how to get what is missing."""

import os
import shutil
from pathlib import Path

# Debian's package -> what proves that it is there
_PACKAGES = {
    "etcd-server": "etcd",
    "containerd": "containerd",
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "debian-archive-keyring": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "busybox-static": "/usr/share/doc/busybox-static",  # the busybox of another package is not static
    "openssl": "openssl",
    "iproute2": "ip",
}
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def check_root(command: str) -> None:
    """Raises SystemExit that says how to run the command line as root, unless this is root."""
    if os.geteuid() != 0:
        raise SystemExit(
            f'the cluster needs root, for namespaces, mounts and control groups: sudo env "PATH=$PATH" {command}'
        )


def check_packages() -> None:
    """Raises SystemExit that says which packages to install."""
    missing = [package for package, program in _PACKAGES.items() if not _is_there(program)]
    if missing:
        raise SystemExit(f"the cluster needs: apt-get install --no-install-recommends {' '.join(missing)}")


def check_go() -> None:
    """Raises SystemExit when there is no Go to build with; a cached build needs none."""
    if shutil.which("go") is None:
        raise SystemExit(
            "the cluster is built with Go 1.25 or newer, and there is none in PATH"
            ' (under sudo: sudo env "PATH=$PATH" make cluster)'
        )


def _is_there(program: str) -> bool:
    return Path(program).exists() if program.startswith("/") else shutil.which(program, path=SEARCH) is not None
