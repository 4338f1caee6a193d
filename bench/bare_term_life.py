"""Term-life as a script without a platform: the example's own node functions in two processes, half the scenarios each.

Of livecalc it imports the block with its random numbers, and nothing else. Started by `job_overhead.py`.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import json
import multiprocessing
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from livecalc.pipeline.block import Block

PROCESSES = 2


def columns(table: Any) -> dict[str, Any]:
    """Take a table's columns as arrays."""
    return {name: table[name].to_numpy() for name in table.column_names}


def compute(folder: Path, config: dict[str, Any], first: int, stop: int) -> Any:
    """Run both nodes on each block from `first` to `stop`; NPV by scenario."""
    sys.path.insert(0, str(folder))
    esg: Any = import_module("esg")
    project: Any = import_module("project")
    csv: Any = import_module("pyarrow.csv")
    parquet: Any = import_module("pyarrow.parquet")
    policies = columns(parquet.read_table(folder / "inputs" / "policies.parquet"))
    male, female = (
        columns(csv.read_csv(folder / "assumptions" / f"mortality-{sex}.csv")) for sex in ("male", "female")
    )
    seed, size = config["scenarios"]["seed"], config["scenarios"]["block"]
    parts: list[Any] = []
    for start in range(first, stop, size):
        end = min(start + size, stop)
        rates = esg.short_rates(Block(seed=seed, node="esg", first=start, stop=end))
        block = Block(seed=seed, node="project", first=start, stop=end)
        inputs = {"policies": policies, "mortality_male": male, "mortality_female": female}
        parts.append(project.npv(block, **inputs, discount=rates["discount"]))
    return np.concatenate(parts)


def main() -> None:
    """Split the blocks over two processes and print the mean."""
    folder = Path(sys.argv[1])
    config = json.loads((folder / "livecalc.config.json").read_text())
    count, size = config["scenarios"]["count"], config["scenarios"]["block"]
    middle = -(-count // size) // PROCESSES * size
    halves = [(folder, config, 0, middle), (folder, config, middle, count)]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        npv = np.concatenate(pool.starmap(compute, halves))
    print(json.dumps({"scenarios": len(npv), "mean": float(npv.mean())}))


if __name__ == "__main__":
    main()
