"""What the same reaping stored before, under earlier paths: what no node has any more may still be there.

It goes on under another path when a pod came too late for an archive, and when an archive cannot be proved.
"""

from collections.abc import Sequence
from contextlib import suppress

from livecalc.blobs.port import BlobInfo, BlobStore, read_all
from livecalc.blobs.stored import decode_stored
from livecalc.cluster.port import PodRecord
from livecalc.domain.errors import Damaged, NotFound
from livecalc.domain.namespaces import NamespaceRecord
from livecalc.lifecycle.archive.places import OWNER, PODS, archive_place, earlier_paths
from livecalc.lifecycle.archive.receipt import list_stored
from livecalc.lifecycle.archive.runs import Run


class Earlier:
    """The blobs of earlier paths that are of one namespace, the newest first."""

    def __init__(self, blobs: BlobStore, container: str, found: Sequence[BlobInfo]) -> None:
        self._blobs = blobs
        self._container = container
        self._found = found

    async def pods(self) -> dict[str, PodRecord]:
        """The pods that were there, by uid, as they were seen last. Raises Unavailable."""
        pods: dict[str, PodRecord] = {}
        for info in reversed(self._found):
            if info.name.endswith(f"/{PODS}"):
                with suppress(NotFound, Damaged):
                    raw = await read_all(self._blobs, self._container, info.name)
                    pods |= {pod.uid: pod for pod in decode_stored(raw, list[PodRecord], info.name)}
        return pods

    def log(self, run: Run) -> BlobInfo | None:
        """What is stored of a run's log, under its whole name; what is not whole there has no digest."""
        return next((info for info in self._found if info.sha256 and run.is_run_of(info)), None)


async def find_earlier(blobs: BlobStore, prefix: str, record: NamespaceRecord, path: str) -> Earlier:
    """Look through the paths before the one that a namespace's archive goes on under. Raises Unavailable."""
    found: list[BlobInfo] = []
    for before in earlier_paths(path):
        stored = await list_stored(blobs, archive_place(prefix, record, before))
        found += [info for info in stored.values() if info.metadata.get(OWNER) == record.uid]
    return Earlier(blobs, archive_place(prefix, record, path).container, found)
