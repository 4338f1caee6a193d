"""2,000 logs of 5 KiB in 40 namespaces, archived into Azurite in one sweep, against bare puts of the same blobs.

The sweep's time is all of it: claims, audit, manifests, proof, deletion. The bare puts are the vendor's client's, many
at once, of as many blobs as the archives have, with the same metadata, tag and checksum; they run before the sweep and
after it.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

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
BESIDE = 4
"""Blobs of an archive beside its logs: pods, events, violations, manifest."""
AT_ONCE = 32
MOST = 1.3


async def put_bare(connection_string: str, container: str) -> float:
    """Put as many blobs, of the same size, as the archives have; seconds."""
    body = b"x" * SIZE
    until = "2026-12-24T00:00:00Z"
    about: dict[str, Any] = {
        "metadata": {"sha256": "0" * 64, "namespace_uid": "0" * 36, "retain_until": until, "pod": "work-00-00000"},
        "tags": {"retain_until": until},
    }
    slots = asyncio.Semaphore(AT_ONCE)
    async with BlobServiceClient.from_connection_string(connection_string) as service:
        await service.get_container_client(container).create_container()

        async def put(name: str) -> None:
            async with slots:
                blob = service.get_blob_client(container, name)
                await blob.upload_blob(body, overwrite=False, validate_content=True, **about)

        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(NAMESPACES * (PODS + BESIDE)):
                group.create_task(put(f"bench-{number}/logs/work.log"))
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
