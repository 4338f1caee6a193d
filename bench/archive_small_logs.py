"""2,000 logs of 5 KiB in 40 namespaces, archived into Azurite in one sweep, against bare puts of the same blobs.

The sweep's time is all of it: claims, audit, manifests, proof, deletion. The bare puts are the vendor's client's, many
at once, of as many blobs as the archives have, with the same metadata, tag and checksum. They run before and after each
of three sweeps; the fastest of either is compared, as other work on the machine only ever makes slower.
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
ROUNDS = 3
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


async def measure(home: Path, connection_string: str) -> tuple[list[float], list[float]]:
    """Seconds of the sweeps, and of the bare runs."""
    settings = {"LIVECALC_HOME": str(home), "AZURE_BLOB_CONNECTION_STRING": connection_string}
    ours: list[float] = []
    bare: list[float] = []
    async with open_platform(load(settings)) as platform:
        for round_ in range(ROUNDS):
            buckets = [f"bench-{round_}-{number}" for number in range(NAMESPACES)]
            await make_finalized(platform, buckets, pods=PODS, script=PRINT_5_KIB)
            bare.append(await put_bare(connection_string, f"bare-{round_}-before"))
            start = time.perf_counter()
            report = await platform.reaper.sweep()
            ours.append(time.perf_counter() - start)
            bare.append(await put_bare(connection_string, f"bare-{round_}-after"))
            if report.successful != NAMESPACES:
                raise SystemExit(f"only {report.successful} of {NAMESPACES} were reaped: {report}")
    return ours, bare


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory(prefix="livecalc-bench-") as folder, azurite() as connection_string:
        ours, bare = asyncio.run(measure(Path(folder) / "home", connection_string))
    finish(
        [
            figure("2,000 small logs, sweep / bare puts", min(ours) / min(bare), MOST, "times"),
            figure("2,000 small logs, sweep", min(ours), None, "s"),
            figure("2,000 small logs, bare puts", min(bare), None, "s"),
        ],
        {
            "namespaces": NAMESPACES,
            "pods_each": PODS,
            "bytes_each": SIZE,
            "bare_at_once": AT_ONCE,
            "sweeps_s": [round(each, 2) for each in ours],
            "bare_s": [round(each, 2) for each in bare],
        },
    )


if __name__ == "__main__":
    main()
