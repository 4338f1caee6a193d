"""2,000 logs of 5 KiB in 40 namespaces, archived into Azurite in one sweep, against bare concurrent puts of the same bytes.

The sweep's time is all of it: claims, audit, manifests, proof, deletion. The bare puts run before and after it.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from azure.storage.blob.aio import BlobServiceClient
from namespaces import make_finalized
from report import figure, finish
from store import azurite

from livecalc.bootstrap.service import open_platform
from livecalc.settings import load

NAMESPACES = 40
PODS = 50
SIZE = 5 * 1024
PRINT_5_KIB = f"yes 'policy 0012345 scenario 000123' | head -c {SIZE}"
AT_ONCE = 32
MOST = 1.3


async def put_bare(connection_string: str, container: str) -> float:
    """Put as many blobs of the same size; seconds."""
    body = b"x" * SIZE
    slots = asyncio.Semaphore(AT_ONCE)
    async with BlobServiceClient.from_connection_string(connection_string) as service:
        await service.create_container(container)

        async def put(name: str) -> None:
            async with slots:
                await service.get_blob_client(container, name).upload_blob(body, overwrite=False)

        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(NAMESPACES * PODS):
                group.create_task(put(f"bench-{number // PODS}/logs/work-{number % PODS}.log"))
        return time.perf_counter() - start


async def measure(home: Path, connection_string: str) -> tuple[float, float]:
    """Seconds of the sweep, and of the faster bare run."""
    settings = {"LIVECALC_HOME": str(home), "AZURE_BLOB_CONNECTION_STRING": connection_string}
    async with open_platform(load(settings)) as platform:
        await make_finalized(
            platform, [f"bench-{number}" for number in range(NAMESPACES)], pods=PODS, script=PRINT_5_KIB
        )
        before = await put_bare(connection_string, "bare-before")
        start = time.perf_counter()
        report = await platform.reaper.sweep()
        seconds = time.perf_counter() - start
        after = await put_bare(connection_string, "bare-after")
    if report.successful != NAMESPACES:
        raise SystemExit(f"only {report.successful} of {NAMESPACES} were reaped: {report}")
    return seconds, min(before, after)


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory(prefix="livecalc-bench-") as folder, azurite() as connection_string:
        ours, bare = asyncio.run(measure(Path(folder) / "home", connection_string))
    finish(
        [
            figure("2,000 small logs, sweep / bare puts", ours / bare, MOST, "times"),
            figure("2,000 small logs, sweep", ours, None, "s"),
            figure("2,000 small logs, bare puts", bare, None, "s"),
        ],
        {"namespaces": NAMESPACES, "pods_each": PODS, "bytes_each": SIZE, "bare_at_once": AT_ONCE},
    )


if __name__ == "__main__":
    main()
