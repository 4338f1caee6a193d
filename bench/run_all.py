"""Run every bench here, one after the other, and write their figures into README.md; exits 1 when a goal is missed."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NOT_BENCHES = {"run_all.py", "report.py", "bare_term_life.py", "bare_pipe.py", "namespaces.py", "store.py"}
HEAD = """# Benchmarks

Made by `make bench`; each script runs alone too (`.venv/bin/python bench/job_overhead.py`) and says in its first lines
what it measures. A smaller value is better; a goal is the most it may be.

"""


def run(script: Path) -> dict[str, Any]:
    """Run one bench; its last line is its report."""
    print(f"{script.name} ...", flush=True)
    done = subprocess.run([sys.executable, str(script)], check=False, capture_output=True, text=True)
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        sys.exit(f"{script.name} gave no report:\n{done.stdout}{done.stderr}")


def main() -> None:
    """Run, print, write."""
    scripts = sorted(path for path in HERE.glob("*.py") if path.name not in NOT_BENCHES)
    reports = {script.name: run(script) for script in scripts}
    rows = ["| bench | figure | value | goal | |", "|---|---|---|---|---|"]
    for name, report in reports.items():
        for each in report["figures"]:
            goal = "" if each["goal"] is None else f"{each['goal']:g} {each['unit']}"
            missed = each["goal"] is not None and each["value"] > each["goal"]
            rows.append(
                f"| `{name}` | {each['figure']} | {each['value']:.3g} {each['unit']} | {goal} "
                f"| {'' if not goal else 'missed' if missed else 'met'} |"
            )
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    measured = f"\nMeasured {datetime.now(UTC):%Y-%m-%d} on {machine}.\n"
    (HERE / "README.md").write_text(HEAD + "\n".join(rows) + "\n" + measured)
    print("\n".join(rows))
    sys.exit(0 if all(report["met"] for report in reports.values()) else 1)


if __name__ == "__main__":
    main()
