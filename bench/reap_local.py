"""Reaping 100 finalized namespaces with 3 finished pods each, in one sweep: how long each takes, p50 and p95.

A namespace's time runs from its claim to its end, eight being reaped at once.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from namespaces import make_finalized
from report import figure, finish

from livecalc.bootstrap.service import open_platform
from livecalc.settings import load

NAMESPACES = 100
PODS = 3


async def measure(home: Path) -> tuple[float, list[float]]:
    """Sweep once; seconds of the whole, and of each namespace."""
    async with open_platform(load({"LIVECALC_HOME": str(home)})) as platform:
        await make_finalized(
            platform, [f"bench-{number}" for number in range(NAMESPACES)], pods=PODS, script="echo done"
        )
        start = time.perf_counter()
        report = await platform.reaper.sweep()
        whole = time.perf_counter() - start
        if report.successful != NAMESPACES:
            raise SystemExit(f"only {report.successful} of {NAMESPACES} were reaped: {report}")
        return whole, sorted(outcome.seconds for outcome in report.outcomes)


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory(prefix="livecalc-bench-") as folder:
        whole, each = asyncio.run(measure(Path(folder) / "home"))
    finish(
        [
            figure("reap of one namespace, p50", each[len(each) // 2], None, "s"),
            figure("reap of one namespace, p95", each[len(each) * 95 // 100], None, "s"),
            figure("sweep of 100 namespaces", whole, None, "s"),
        ],
        {"namespaces": NAMESPACES, "pods_each": PODS},
    )


if __name__ == "__main__":
    main()
