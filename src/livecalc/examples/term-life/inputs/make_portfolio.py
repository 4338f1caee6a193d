"""Make `policies.parquet`: 10,000 policies, the same on any machine. It was run once; run it again to compare.

Every attribute is drawn from the SHA-256 of its own name and policy number, so that no generator's stream matters.
"""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

POLICIES = 10_000
TERMS = (10, 15, 20)


def portfolio() -> dict[str, list[int]]:
    """Return the columns: age, sex (1 male, 2 female), term in years, sum assured in whole thousands of money."""
    numbers = range(POLICIES)
    return {
        "age": [20 + draw("age", number, 40) for number in numbers],
        "sex": [1 + draw("sex", number, 2) for number in numbers],
        "term": [TERMS[draw("term", number, len(TERMS))] for number in numbers],
        "sum_assured": [1_000 * (100 + draw("sum_assured", number, 901)) for number in numbers],
    }


def draw(attribute: str, number: int, choices: int) -> int:
    """Return one of `choices` equally likely whole numbers from 0 on."""
    digest = hashlib.sha256(f"term-life/{attribute}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * choices >> 64


if __name__ == "__main__":
    table = pa.table({name: pa.array(values, pa.int64()) for name, values in portfolio().items()})
    pq.write_table(table, Path(__file__).with_name("policies.parquet"), compression="zstd")
