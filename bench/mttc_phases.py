"""Recomputing term-life, 10,000 policies x 1,000 scenarios: the phases, and all of them but execution.

Runs the real command line against a home of its own: submit, finalize, reap, then `livecalc mttc verify`.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from report import figure, finish

LIVECALC = str(Path(sys.executable).parent / "livecalc")
OVERHEAD_GOAL = 5.0
RUNS = 3


def livecalc(home: Path, *arguments: str) -> Any:
    """Run one command and read its JSON."""
    environment = {**os.environ, "LIVECALC_HOME": str(home)}
    done = subprocess.run([LIVECALC, *arguments, "--json"], env=environment, check=True, capture_output=True)
    return json.loads(done.stdout)


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory(prefix="livecalc-bench-") as folder:
        home = Path(folder) / "home"
        job = livecalc(home, "submit", "term-life", "--bucket", "bench", "--wait")
        livecalc(home, "namespaces", "finalize", job["namespace"])
        livecalc(home, "namespaces", "reap", job["namespace"])
        runs = [livecalc(home, "mttc", "verify", job["job_id"]) for _ in range(RUNS)]
    phases = {
        phase["name"]: median(p["seconds"] for run in runs for p in run["phases"] if p["name"] == phase["name"])
        for phase in runs[0]["phases"]
    }
    overhead = sum(seconds for name, seconds in phases.items() if name != "execute")
    finish(
        [
            figure("recomputation, all phases but execution", overhead, OVERHEAD_GOAL, "s"),
            figure("recomputation, duration", median(run["duration_seconds"] for run in runs), 120.0, "s"),
        ],
        {"phases_s": phases, "match": all(run["match"] for run in runs)},
    )


if __name__ == "__main__":
    main()
