"""What a bucket has left behind: asked of the platform, and of this machine's process table."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from livecalc.cli.format import count
from livecalc.domain.buckets import RECOMPUTE_PREFIX, namespace_name

if TYPE_CHECKING:
    from livecalc.client import Client

_PROC = Path("/proc")


class Leftovers(Struct, frozen=True, kw_only=True):
    """How much is left of a bucket."""

    namespaces: int
    volume_claims: int
    pods: int
    processes: int | None
    """None where the pods do not run on this machine, or it has no process table."""

    @property
    def nothing(self) -> bool:
        """Whether it has evaporated."""
        return not (self.namespaces or self.volume_claims or self.pods or self.processes)


def find_leftovers(client: "Client", bucket_id: str, home: Path | None) -> Leftovers:
    """Count what is left of a bucket and of its recomputations; `home` is where pods run as processes, if they do."""
    own = namespace_name(bucket_id)
    names = [each for each in client.namespaces() if each.namespace == own]
    return Leftovers(
        namespaces=len(names),
        volume_claims=sum(each.pvc_count for each in names),
        pods=sum(each.pod_count for each in names),
        processes=None if home is None or not _PROC.is_dir() else sum(1 for _ in _processes(own, home)),
    )


def tell(left: Leftovers) -> str:
    """`0 namespaces, 0 volume claims, 0 pods, 0 processes`."""
    parts = [count(left.namespaces, "namespace"), count(left.volume_claims, "volume claim"), count(left.pods, "pod")]
    if left.processes is not None:
        parts.append(count(left.processes, "process", "processes"))
    return ", ".join(parts)


def _processes(namespace: str, home: Path) -> Iterator[int]:
    """The pods of a namespace, or of any recomputation, that live as processes under a home."""
    spaces = (f"LIVECALC_NAMESPACE={namespace}\0", f"LIVECALC_NAMESPACE={namespace_name(RECOMPUTE_PREFIX)}")
    for folder in _PROC.glob("[0-9]*"):
        try:
            settings = (folder / "environ").read_text("utf-8", "replace")
        except OSError:
            continue  # it ended while we looked, or is another user's
        if f"LIVECALC_HOME={home}\0" in settings and any(space in settings for space in spaces):
            yield int(folder.name)
