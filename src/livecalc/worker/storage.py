"""What a worker fetches and stores by its grants."""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from livecalc.blobs.digest import sha256_of
from livecalc.blobs.port import GrantClient
from livecalc.blobs.stored import decode_stored
from livecalc.domain.errors import AlreadyExists, Forbidden, InvalidInput
from livecalc.domain.tasks import PartitionTask, Task

GrantClients = Callable[[str], GrantClient]
"""Gives the client for a URL, by its scheme. Raises InvalidInput for one that has none."""

_TASK_BYTES = 16 << 20


class StoredBlob(Struct, frozen=True, kw_only=True):
    """A blob that is there; `sha256` and `size` are None when an earlier try stored it, perhaps other bytes."""

    sha256: str | None = None
    size: int | None = None


def fetch_task(grants: GrantClients, url: str, path: Path) -> Task:
    """Read what there is to do. Raises whatever a grant client raises, and Damaged when it is no task."""
    grants(url).fetch(url, path, limit=_TASK_BYTES)
    return decode_stored(path.read_bytes(), Task, "the task of this worker")


def find_partition(task: Task, index: int) -> PartitionTask:
    """Find a completion index in a task. Raises InvalidInput."""
    for partition in task.partitions:
        if partition.index == index:
            return partition
    raise InvalidInput(f"job {task.job_id} has no partition {index}: it has {len(task.partitions)}")


def store_result(grants: GrantClients, url: str, path: Path) -> StoredBlob:
    """Store a partition's file, once; that an earlier try has done so is as good. Raises as grant clients do."""
    digest = sha256_of(path)
    try:
        grants(url).create(url, path, sha256=digest)
    except AlreadyExists:
        return StoredBlob()
    return StoredBlob(sha256=digest, size=path.stat().st_size)


def store_log(grants: GrantClients, urls: Sequence[str], attempt: int, path: Path, sha256: str) -> int:
    """Store a log under the first grant, from `attempt` on, that was not used, and return which.

    Raises Forbidden when none is left (on Azure a used grant is forbidden too), and as grant clients do.
    """
    for number in range(attempt, len(urls)):
        try:
            grants(urls[number]).create(urls[number], path, sha256=sha256)
        except (AlreadyExists, Forbidden):
            continue
        return number
    raise Forbidden(f"no log grant is left: attempt {attempt} of {len(urls)}")
