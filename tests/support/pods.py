"""Jobs without a cluster: a real directory store with real grants, and each worker a real process."""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from livecalc.blobs.directory import DirectoryStore
from livecalc.blobs.port import Verb, read_all
from livecalc.bundles.pack import pack
from livecalc.domain.jobs import split_blocks
from livecalc.domain.partitions import PartitionRecord
from livecalc.domain.tasks import PartitionTask, Statement, Task
from livecalc.pipeline.partition import check_arrays, read_record
from support.models import Model

BUNDLES, RESULTS = "bundles-t1", "results-t1"
JOB = "j-01jdx4m8k3q7"
MEBIBYTE = 1 << 20
LIMITS = {
    "bundle_bytes": 64 * MEBIBYTE,
    "bundle_files": 100,
    "bundle_ratio": 100,
    "log_bytes": 64 * MEBIBYTE,
    "memory_bytes": 2048 * MEBIBYTE,
}
_PROCESS = Path(__file__).with_name("pod_process.py")


class Pod(Struct, frozen=True, kw_only=True):
    """A worker's process and what it leaves."""

    folder: Path
    process: "subprocess.Popen[bytes]"

    def wait(self) -> int:
        """Wait for its end."""
        return self.process.wait(60)

    @property
    def stdout(self) -> bytes:
        """What it has written to its standard output and error."""
        return (self.folder / "stdout").read_bytes()

    @property
    def statement(self) -> Statement:
        """Its termination message."""
        content = (self.folder / "termination").read_bytes()
        assert len(content) <= 4096
        return msgspec.json.decode(content, type=Statement)

    @property
    def usage(self) -> dict[str, Any]:
        """What it used."""
        return json.loads((self.folder / "usage").read_text())

    @property
    def annotations(self) -> list[dict[str, str]]:
        """Each call to annotate the pod, in order."""
        path = self.folder / "annotations"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def beats(self) -> int:
        """How often it beat."""
        path = self.folder / "beats"
        return len(path.read_text().splitlines()) if path.exists() else 0


class Job:
    """A submitted job: its bundle and task are in the store."""

    def __init__(self, folder: Path, store: DirectoryStore, task_url: str, partitions: int) -> None:
        self.folder = folder
        self.store = store
        self.task_url = task_url
        self.partitions = partitions

    def start(  # noqa: PLR0913  (each is something a test varies)
        self,
        index: int = 0,
        *,
        attempt: int = 0,
        task_url: str | None = None,
        cluster_fails: bool = False,
        file_limit: int = 0,
        pipe: bool = False,
    ) -> Pod:
        """Start the worker of a partition; `pipe` leaves its standard output to the test."""
        folder = self.folder / f"pod-{index}-{attempt}"
        (folder / "scratch").mkdir(parents=True)
        options = {
            "folder": str(folder),
            "task_url": task_url or self.task_url,
            "index": index,
            "attempt": attempt,
            "cluster_fails": cluster_fails,
            "file_limit": file_limit,
        }
        with (folder / "stdout").open("wb") as stdout:
            process = subprocess.Popen(
                [sys.executable, str(_PROCESS), json.dumps(options)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipe else stdout,
                stderr=subprocess.STDOUT,
            )
        return Pod(folder=folder, process=process)

    async def read(self, name: str) -> bytes:
        """Read one of the job's blobs."""
        return await read_all(self.store, RESULTS, name)

    async def record(self, index: int = 0) -> PartitionRecord:
        """Read what a worker stored of its partition, checked."""
        path = self.folder / f"partition-{index}"
        path.write_bytes(await self.read(f"jobs/{JOB}/partitions/{index}"))
        record = read_record(path)
        check_arrays(path, record)
        return record

    async def log(self, index: int = 0, attempt: int = 0) -> bytes:
        """Read a stored copy of a log."""
        return await self.read(f"jobs/{JOB}/logs/{index}-{attempt}")


async def check_log(job: Job, pod: Pod, index: int = 0, attempt: int = 0) -> str:
    """Check that the stored copy, the pod's standard output and its statement agree byte for byte; return the text."""
    copy = await job.log(index, attempt)
    statement = pod.statement
    assert copy == pod.stdout
    assert (statement.log_bytes, statement.log_sha256) == (len(copy), hashlib.sha256(copy).hexdigest())
    assert statement.log_attempt == attempt
    return copy.decode(errors="replace")


async def submit(  # noqa: PLR0913  (each is something a test varies)
    folder: Path,
    model: Model,
    *,
    partitions: int = 1,
    limits: dict[str, int] | None = None,
    result_limit: int = 64 * MEBIBYTE,
    log_limit: int = 80 * MEBIBYTE,
    bundle: bytes | None = None,
    tries: int = 3,
) -> Job:
    """Pack a model, store it, and write the task of its workers; `bundle` puts other bytes in its place."""
    store = DirectoryStore(folder / "blobs")
    (model.folder / "livecalc.config.json").write_bytes(msgspec.json.encode(model.config))
    packed = pack(model.folder, folder / "bundle.zip")
    content = (folder / "bundle.zip").read_bytes()
    await store.write(BUNDLES, packed.model_bundle_hash, content if bundle is None else bundle)
    expires_at = datetime.now(UTC) + timedelta(hours=1)

    async def grant(verb: Verb, container: str, name: str, limit: int = log_limit) -> str:
        return await store.grant(container, name, verb, expires_at=expires_at, limit=limit)

    scenarios = model.config.scenarios
    ranges = split_blocks(scenarios.count, scenarios.block, partitions)
    task = Task(
        job_id=JOB,
        bundle=await grant(Verb.READ, BUNDLES, packed.model_bundle_hash),
        model_bundle_hash=packed.model_bundle_hash,
        partitions=[
            PartitionTask(
                index=index,
                first=first,
                stop=stop,
                result=await grant(Verb.CREATE, RESULTS, f"jobs/{JOB}/partitions/{index}", result_limit),
                logs=[await grant(Verb.CREATE, RESULTS, f"jobs/{JOB}/logs/{index}-{n}") for n in range(tries)],
            )
            for index, (first, stop) in enumerate(ranges)
        ],
        limits={**LIMITS, **(limits or {})},
    )
    await store.write(RESULTS, f"jobs/{JOB}/task.json", msgspec.json.encode(task))
    return Job(folder, store, await grant(Verb.READ, RESULTS, f"jobs/{JOB}/task.json"), len(ranges))
