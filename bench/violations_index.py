"""The sentinel violations of a tenant with 10,000 archives that all have some: the newest, a bucket's, since a day.

Measured as a client sees it, with the platform in its process, on a folder and on Azurite. How long it takes to make
the index anew from the archives is told beside.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from report import figure, finish

from livecalc.blobs.port import BlobStore
from livecalc.client import Client
from livecalc.domain.timestamps import archive_timestamp, format_timestamp
from livecalc.lifecycle.archive.index import ViolationIndex
from livecalc.lifecycle.archive.manifest import PodViolation, PodViolations, encode
from livecalc.lifecycle.archive.places import Place
from livecalc.records.bounded import map_bounded

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from blobstore import azurite

ARCHIVES = 10_000
BUCKETS = 1_000
GOAL = 2.0
NEWEST = datetime(2026, 1, 26, 1, 5, 4, tzinfo=UTC)
_CONTAINER = "diagnostics-local"


async def prepare(store: BlobStore, at_once: int) -> None:
    """Store the violations and manifests of all archives, two pods each, and index them as a reaper does."""
    index = ViolationIndex(store, "diagnostics")

    async def make(number: int) -> None:
        moment = NEWEST - timedelta(minutes=number)
        folder = f"bench-{number % BUCKETS}/{archive_timestamp(moment)}/"
        violation = PodViolation(offset=number, expected="0xABCD", actual="0x1234")
        pods = [
            PodViolations(pod=f"worker-{pod}", violations=[violation], timestamp=format_timestamp(moment))
            for pod in range(2)
        ]
        await store.write(_CONTAINER, f"{folder}sentinel-violations.json", encode(pods))
        await store.write(_CONTAINER, f"{folder}manifest.json", b"{}")
        await index.add("local", Place(container=_CONTAINER, folder=folder))

    await map_bounded(make, range(ARCHIVES), at_once=at_once)


def ask(client: Client) -> dict[str, float]:
    """Seconds of each question, the median of five, and of one reindexing."""
    day = NEWEST - timedelta(days=1)
    questions: dict[str, dict[str, Any]] = {
        "the newest 100": {},
        "one bucket's": {"bucket_id": "bench-999"},
        "one bucket's since yesterday": {"bucket_id": "bench-999", "since": day},
        "the newest 1,000": {"limit": 1000},
    }
    taken: dict[str, float] = {}
    for name, options in questions.items():
        times: list[float] = []
        for _ in range(5):
            start = time.perf_counter()
            found = client.violations(**options)
            times.append(time.perf_counter() - start)
            if not found or found != sorted(found, key=lambda each: each.timestamp, reverse=True):
                raise SystemExit(f"{name}: {len(found)} violations, not newest first")
        taken[name] = statistics.median(times)
    start = time.perf_counter()
    reindexed = client.reindex(check=True)
    taken["comparison with all archives"] = time.perf_counter() - start
    if not reindexed.equal or reindexed.right != ARCHIVES:
        raise SystemExit(f"the index is not what the archives say: {reindexed}")
    return taken


def measure(home: str, connection_string: str | None) -> dict[str, float]:
    """Prepare one store and ask."""
    from livecalc.blobs.azure import connect as connect_azure
    from livecalc.blobs.directory import DirectoryStore
    from livecalc.embedded import connect

    async def fill() -> None:
        if connection_string is None:
            await prepare(DirectoryStore(Path(home, "blobs")), 8)
        else:
            async with connect_azure(connection_string=connection_string) as store:
                await prepare(store, 32)

    os.environ["LIVECALC_HOME"] = home
    os.environ.pop("AZURE_BLOB_CONNECTION_STRING", None)
    if connection_string is not None:
        os.environ["AZURE_BLOB_CONNECTION_STRING"] = connection_string
    start = time.perf_counter()
    with connect() as client:
        client.status()
        asyncio.run(fill())
        prepared = time.perf_counter() - start
        return {"prepared": prepared, **ask(client)}


def main() -> None:
    """Measure both stores, report."""
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="livecalc-bench-") as home:
        results["folder"] = measure(home, None)
    with tempfile.TemporaryDirectory(prefix="livecalc-bench-") as home, azurite() as connection_string:
        results["Azurite"] = measure(home, connection_string)
    goals = {"the newest 100": GOAL, "one bucket's": GOAL, "one bucket's since yesterday": GOAL}
    finish(
        [
            figure(f"violations of 10,000 archives, {name}, {store}", seconds, goals.get(name), "s")
            for store, taken in results.items()
            for name, seconds in taken.items()
            if name != "prepared"
        ],
        {"archives": ARCHIVES, "prepared_s": {store: round(taken["prepared"], 1) for store, taken in results.items()}},
    )


if __name__ == "__main__":
    main()
