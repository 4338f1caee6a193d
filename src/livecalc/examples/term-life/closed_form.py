"""What the model must come to: the mean NPV in closed form, cash flows times zero-coupon prices. Not part of the run.

python closed_form.py       prints {"npv": ...}, by the name of the output under bus://results/
"""

import json
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
from esg import Vasicek, zero_coupon
from project import Table, cash_flows

HERE = Path(__file__).parent


def closed_form() -> dict[str, float]:
    """Return the mean of each result; deaths and lapses are independent of rates, so P(t) discounts their flows."""
    flows = cash_flows(_policies(), _mortality("male"), _mortality("female")).sum(axis=1)
    return {"npv": float(sum(flow * zero_coupon(time, Vasicek()) for time, flow in enumerate(flows)))}


def _policies() -> Table:
    return _columns(pyarrow.parquet.read_table(HERE / "inputs" / "policies.parquet"))


def _mortality(sex: str) -> Table:
    return _columns(pyarrow.csv.read_csv(HERE / "assumptions" / f"mortality-{sex}.csv"))


def _columns(table: pyarrow.Table) -> Table:
    return {name: table[name].to_numpy() for name in table.column_names}


if __name__ == "__main__":
    print(json.dumps(closed_form()))  # noqa: T201  (its one purpose)
