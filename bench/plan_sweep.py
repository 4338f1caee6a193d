"""Planning a sweep over 10,000 local namespaces: CPU seconds and memory, in a process that does nothing else.

The namespaces are made through the cluster's own port, in a home of their own; making them is not measured.
"""

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from report import figure, finish

NAMESPACES = 10_000
CPU_GOAL = 0.3
MEMORY_GOAL = 100.0


async def prepare(home: Path) -> None:
    """Make the namespaces: a tenth finalized, a tenth idle for two days, the rest active."""
    from livecalc.cluster.local import LocalCluster
    from livecalc.domain.namespaces import new_annotations, new_labels
    from livecalc.domain.retention import Retention

    cluster = LocalCluster(home)
    now = datetime.now(UTC)
    for number in range(NAMESPACES):
        bucket = f"b-{number}"
        born = now - timedelta(hours=48 if number % 10 == 1 else 1)
        annotations = new_annotations("acme", Retention.STANDARD, born)
        if number % 10 == 0:
            annotations["status"] = "finalized"
        await cluster.create_namespace(
            f"livecalc-bucket-{bucket}", labels=new_labels(bucket, "acme"), annotations=annotations
        )
    await cluster.close()


async def plan(home: Path) -> None:
    """Plan once, and print what it took beyond the start of the process."""
    from livecalc.cluster.local import LocalCluster
    from livecalc.lifecycle.observe import observe
    from livecalc.lifecycle.plan import SweepPolicy, plan_sweep

    cluster = LocalCluster(home)
    await cluster.now()
    before = resource.getrusage(resource.RUSAGE_SELF)
    policy = SweepPolicy()
    observation = await observe(cluster, policy, lambda: datetime.now(UTC))
    planned = plan_sweep(observation.namespaces, observation.now, policy)
    after = resource.getrusage(resource.RUSAGE_SELF)
    await cluster.close()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"cpu": cpu, "peak_mib": after.ru_maxrss / 1024, "entries": len(planned.entries)}))


def main() -> None:
    """Prepare, measure in fresh processes, report the median."""
    if len(sys.argv) > 1:
        asyncio.run(plan(Path(sys.argv[1])))
        return
    with tempfile.TemporaryDirectory(prefix="livecalc-bench-") as folder:
        home = Path(folder) / "cluster"
        asyncio.run(prepare(home))
        runs = [
            json.loads(subprocess.run([sys.executable, __file__, str(home)], check=True, capture_output=True).stdout)
            for _ in range(5)
        ]
    cpu = sorted(run["cpu"] for run in runs)
    finish(
        [
            figure("plan_sweep over 10,000 local namespaces, CPU", cpu[2], CPU_GOAL, "s"),
            figure("plan_sweep, peak memory of the process", max(run["peak_mib"] for run in runs), MEMORY_GOAL, "MiB"),
        ],
        {"cpu_s": [round(value, 3) for value in cpu], "entries": runs[0]["entries"]},
    )


if __name__ == "__main__":
    main()
