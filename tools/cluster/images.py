"""Images without a registry: busybox for pods' sandboxes, a base with Python, and how a file gets into the cluster.

buildah keeps its images in IMAGES, and runs where its mounts and processes end with it.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from .needs import SEARCH
from .place import BASE_IMAGE, BUSYBOX_IMAGE, CONTAINERD_SOCKET, IMAGES
from .processes import first_process
from .progress import say

BUSYBOX_FILE = IMAGES / "busybox.tar"
_SUITE = "bookworm"
_PACKAGES = ("python3", "python3-venv", "ca-certificates")
_ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--")
_BUILDAH = ("buildah", "--storage-driver", "vfs", "--root", str(IMAGES / "store"), "--runroot", str(IMAGES / "run"))


def make_images() -> None:
    """Make those that are not there yet: seconds for busybox, a minute for the base."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    if not BUSYBOX_FILE.exists():
        _make_busybox()
    stamp = IMAGES / f"base-{hashlib.sha256(repr((_SUITE, _PACKAGES)).encode()).hexdigest()[:12]}"
    if not stamp.exists():
        _make_base()
        stamp.touch()


def buildah(arguments: Sequence[str]) -> int:
    """Run buildah on the images here, its output the caller's; returns its exit code."""
    return subprocess.run([*_ALONE, *_BUILDAH, *arguments], env=_environment(), check=False).returncode


def load(archive: Path) -> str:
    """Import an OCI archive (`buildah push IMAGE oci-archive:FILE:NAME`) into the running cluster.

    Returns the name by digest (`localhost/worker@sha256:...`), which pods can use as well as NAME.
    """
    images = ("ctr", f"--address=/proc/{first_process()}/root{CONTAINERD_SOCKET}", "--namespace=k8s.io", "images")
    name, digest = _named(archive)
    _run(*images, "import", str(archive.resolve()))
    by_digest = f"{name.rpartition(':')[0]}@{digest}"
    _run(*images, "tag", "--force", name, by_digest)
    return by_digest


def _named(archive: Path) -> tuple[str, str]:
    """The name, with its tag, and the digest of the first image in an archive."""
    try:
        with tarfile.open(archive) as files:
            index = files.extractfile("index.json")
            assert index
            image = json.load(index)["manifests"][0]
        return image["annotations"]["org.opencontainers.image.ref.name"], image["digest"]
    except (OSError, tarfile.TarError, KeyError) as error:
        how = "buildah push IMAGE oci-archive:FILE:NAME"
        raise SystemExit(f"{archive} is no OCI archive of an image with a name ({how}): {error}") from error


def _make_busybox() -> None:
    """Busybox as every program it can be, and nothing else; without arguments it sleeps."""
    with TemporaryDirectory(dir=IMAGES) as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / "bin").mkdir()
        program = shutil.copy(shutil.which("busybox", path=SEARCH) or "/bin/busybox", root / "bin/busybox")
        for name in set(_run(str(program), "--list").split()) - {"busybox"}:
            (root / "bin" / name).symlink_to("busybox")
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        container = _new_container("busybox")
        _buildah("add", container, str(root), "/")
        _buildah("config", "--cmd", "sleep 2147483647", "--env", "PATH=/bin", container)
        _buildah("commit", "--rm", container, BUSYBOX_IMAGE)
    fresh = IMAGES / "busybox.new"
    fresh.unlink(missing_ok=True)
    _buildah("push", BUSYBOX_IMAGE, f"oci-archive:{fresh}:{BUSYBOX_IMAGE}")
    fresh.rename(BUSYBOX_FILE)


def _make_base() -> None:
    """Debian's smallest with Python: what the project's Dockerfile builds on here."""
    say(f"making {BASE_IMAGE} from Debian's packages: a minute, once")
    container = _new_container("base")
    root = _buildah("mount", container)
    _run(*_ALONE, "debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", _SUITE, root)
    for rest in ("var/cache/apt/archives", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man"):
        for path in (Path(root) / rest).iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    _buildah("config", "--cmd", "python3", "--env", "LANG=C.UTF-8", container)
    _buildah("commit", "--rm", container, BASE_IMAGE)
    say(f"made {BASE_IMAGE}")


def _new_container(name: str) -> str:
    """An empty one, in place of what a killed run left of that name."""
    if name in _buildah("containers", "--format", "{{.ContainerName}}").split():
        _buildah("rm", name)
    return _buildah("from", "--name", name, "scratch")


def _buildah(*arguments: str) -> str:
    return _run(*_ALONE, *_BUILDAH, *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{(done.stderr or done.stdout)[-2000:].strip()}")
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    return {**os.environ, "BUILDAH_ISOLATION": "chroot"}
