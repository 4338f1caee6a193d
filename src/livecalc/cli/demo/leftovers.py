"""What a bucket has left behind: asked of the platform, of its audit record, and of this machine's process table."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from livecalc.cli.format import count
from livecalc.domain.buckets import namespace_name

if TYPE_CHECKING:
    from livecalc.cli.demo.platform import DemoPlatform
    from livecalc.client import Client

_PROC = Path("/proc")


class Leftovers(Struct, frozen=True, kw_only=True):
    """How much is left of a bucket."""

    namespaces: int
    volumes: int
    """Claims in the namespace, and volumes that outlived it."""
    pods: int
    processes: int | None
    """None where the pods do not run on this machine, or it has no process table."""

    @property
    def nothing(self) -> bool:
        """Whether it has evaporated."""
        return not (self.namespaces or self.volumes or self.pods or self.processes)


def find_leftovers(platform: "DemoPlatform", bucket_id: str) -> Leftovers:
    """Count what is left of a bucket."""
    name = namespace_name(bucket_id)
    found = [each for each in platform.client.namespaces() if each.namespace == name]
    home = platform.home
    return Leftovers(
        namespaces=len(found),
        volumes=sum(each.pvc_count for each in found) + _surviving_volumes(platform.client, name),
        pods=sum(each.pod_count for each in found),
        processes=None if home is None or not _PROC.is_dir() else sum(1 for _ in _processes(name, home)),
    )


def tell_leftovers(left: Leftovers) -> str:
    """Put it into words: `0 namespaces, 0 volumes, 0 pods, 0 processes`."""
    parts = [count(left.namespaces, "namespace"), count(left.volumes, "volume"), count(left.pods, "pod")]
    if left.processes is not None:
        parts.append(count(left.processes, "process", "processes"))
    return ", ".join(parts)


def _surviving_volumes(client: "Client", namespace: str) -> int:
    """The volumes that its reaper named as still there."""
    ends = (entry for entry in client.audit() if entry.operation == "reap" and entry.phase == "outcome")
    return sum(len(entry.detail.get("volumes_left", [])) for entry in ends if entry.namespace == namespace)


def _processes(namespace: str, home: Path) -> Iterator[int]:
    """The pods of a namespace that live as processes under a home."""
    wanted = {f"LIVECALC_NAMESPACE={namespace}", f"LIVECALC_HOME={home}"}
    for folder in _PROC.glob("[0-9]*"):
        try:
            settings = (folder / "environ").read_text("utf-8", "replace").split("\0")
        except OSError:
            continue  # it ended while we looked, or is another user's
        if wanted <= set(settings):
            yield int(folder.name)
