"""Extraction of a typical namespace, 5 pods with 10 MB of logs, into Azurite: p50 and p95.

The time runs from the claim to verified gone; namespaces are reaped one after another. A figure that people know for
extraction is 5 to 10 s; the aim is under 1 s.
"""

import asyncio
import tempfile
from pathlib import Path

from namespaces import make_finalized
from report import figure, finish
from store import azurite

from livecalc.bootstrap.service import open_platform
from livecalc.settings import load

NAMESPACES = 30
PODS = 5
PRINT_2_MB = "yes 'policy 0012345 scenario 000123 npv 12345.678901' | head -c 2000000"


async def measure(home: Path, connection_string: str) -> list[float]:
    """Seconds of each namespace, in order."""
    settings = {
        "LIVECALC_HOME": str(home),
        "AZURE_BLOB_CONNECTION_STRING": connection_string,
        "REAP_CONCURRENCY": "1",
    }
    async with open_platform(load(settings)) as platform:
        await make_finalized(
            platform, [f"bench-{number}" for number in range(NAMESPACES)], pods=PODS, script=PRINT_2_MB
        )
        report = await platform.reaper.sweep()
        if report.successful != NAMESPACES:
            raise SystemExit(f"only {report.successful} of {NAMESPACES} were reaped: {report}")
        return sorted(outcome.seconds for outcome in report.outcomes)


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory(prefix="livecalc-bench-") as folder, azurite() as connection_string:
        each = asyncio.run(measure(Path(folder) / "home", connection_string))
    finish(
        [
            figure("extraction of 5 pods with 10 MB, p50", each[len(each) // 2], 1.0, "s"),
            figure("extraction of 5 pods with 10 MB, p95", each[len(each) * 95 // 100], 1.0, "s"),
        ],
        {"namespaces": NAMESPACES, "pods_each": PODS},
    )


if __name__ == "__main__":
    main()
