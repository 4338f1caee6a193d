"""What the platform costs on top of the model: term-life, 10,000 x 1,000, submit to result hash on two workers.

Beside it, in the same run, a bare script that runs the same node functions in two processes with nothing of livecalc
but the nodes and their random numbers (`bare_term_life.py`). The goal is 1.10 times the bare time and 1 s.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from report import figure, finish

import livecalc
from livecalc.bundles.examples import find_example

ROUNDS = 5
BARE = Path(__file__).with_name("bare_term_life.py")
FACTOR = 1.10
FIXED = 1.0


def bare() -> float:
    """Wall time of the bare script, its start included."""
    start = time.perf_counter()
    command = [sys.executable, str(BARE), str(find_example("term-life"))]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Alternate the two, and report medians."""
    with tempfile.TemporaryDirectory(prefix="livecalc-bench-") as folder, livecalc.connect(home=Path(folder)) as client:

        def whole(bucket: str) -> float:
            start = time.perf_counter()
            job = client.submit("term-life", bucket=bucket, partitions=2).wait()
            seconds = time.perf_counter() - start
            if client.job(job.job_id).result_hash is None:
                raise SystemExit(f"{job.job_id} has no result")
            return seconds

        bare()
        whole("warm-up")
        pairs = [(bare(), whole(f"round-{number}")) for number in range(ROUNDS)]
    bares = [pair[0] for pair in pairs]
    wholes = [pair[1] for pair in pairs]
    excess = median(whole - FACTOR * plain for plain, whole in pairs)
    finish(
        [
            figure("submit to result hash, less 1.10 x the bare script", excess, FIXED, "s"),
            figure("submit to result hash", median(wholes), None, "s"),
            figure("bare script", median(bares), None, "s"),
        ],
        {"bare_s": [round(each, 3) for each in bares], "livecalc_s": [round(each, 3) for each in wholes]},
    )


if __name__ == "__main__":
    main()
