"""How long the command line takes to start: `livecalc --help` beside `python -c pass`, and `livecalc jobs list`.

Both are measured alternately, so that a busy machine slows both. The home of the list is a new one in a temporary
folder, warm: it has run a command before and knows a finished job. Its CPU time is told beside, which a busy machine
slows less.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

HELP_GOAL = 8.0
LIST_GOAL = 0.5
ROUNDS = 15
LISTS = 9
_BIN = Path(sys.executable).parent
PASS = [sys.executable, "-c", "pass"]
LIVECALC = str(_BIN / "livecalc")


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """Wall time of one process, from its start to its end."""
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure() -> dict[str, Any]:
    """Run all, and return the report."""
    with tempfile.TemporaryDirectory(prefix="livecalc-bench-") as folder:
        environment = {**_without_settings(), "LIVECALC_HOME": str(Path(folder) / "home")}
        helps, passes = _help(environment)
        _warm(Path(folder), environment)
        seconds([LIVECALC, "jobs", "list"], environment)
        before = _children_cpu()
        lists = [seconds([LIVECALC, "jobs", "list"], environment) for _ in range(LISTS)]
        cpu = (_children_cpu() - before) / LISTS
    ratio = median(helps) / median(passes)
    figures = [
        _figure("livecalc --help / python -c pass", ratio, HELP_GOAL, "times"),
        _figure("livecalc jobs list, warm home, median", median(lists), LIST_GOAL, "s"),
    ]
    detail = {
        "python_pass_median_s": round(median(passes), 4),
        "help_median_s": round(median(helps), 4),
        "jobs_list_cpu_s": round(cpu, 3),
        "jobs_list_s": [round(value, 3) for value in lists],
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
    }
    return {"figures": figures, "met": all(each["value"] <= each["goal"] for each in figures), "detail": detail}


def _help(environment: dict[str, str]) -> tuple[list[float], list[float]]:
    helps: list[float] = []
    passes: list[float] = []
    for command in (PASS, [LIVECALC, "--help"]):
        seconds(command, environment)
    for _ in range(ROUNDS):
        passes.append(seconds(PASS, environment))
        helps.append(seconds([LIVECALC, "--help"], environment))
    return helps, passes


def _warm(folder: Path, environment: dict[str, str]) -> None:
    """Give the home one finished job, of the smallest model that `bundle init` makes."""
    for arguments in (["bundle", "init", "tiny"], ["submit", "tiny", "--bucket", "warm", "--wait"]):
        subprocess.run([LIVECALC, *arguments], env=environment, cwd=folder, check=True, capture_output=True)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("LIVECALC_", "AZURE_", "JWT_"))}


def _figure(figure: str, value: float, goal: float, unit: str) -> dict[str, Any]:
    return {"figure": figure, "value": round(value, 3), "goal": goal, "unit": unit}


def main() -> int:
    """Print the figures, and the report as the last line; the status says whether the goals are met."""
    report = measure()
    for each in report["figures"]:
        print(f"{each['figure']}: {each['value']:g} {each['unit']} (goal {each['goal']:g})")
    print(json.dumps(report))
    return 0 if report["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
