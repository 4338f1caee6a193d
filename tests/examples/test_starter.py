import csv
import math
import runpy
from typing import Any

import numpy as np
import pytest

from livecalc.bundles.examples import find_example
from livecalc.pipeline.block import Block

FOLDER = find_example("starter")
MARKET: Any = runpy.run_path(str(FOLDER / "market.py"))
SAVINGS: Any = runpy.run_path(str(FOLDER / "savings.py"))


def table(path: str) -> dict[str, Any]:
    with (FOLDER / path).open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


EQUITY = table("assumptions/equity.csv")
CONTRACTS = {**table("inputs/contracts.csv"), "years": table("inputs/contracts.csv")["years"].astype(int)}


def growth(first: int, stop: int) -> Any:
    return MARKET["yearly_growth"](Block(seed=1, node="market", first=first, stop=stop), equity=EQUITY)


def maturity(growth: Any) -> Any:
    return SAVINGS["maturity"](
        Block(seed=1, node="savings", first=0, stop=len(growth)), contracts=CONTRACTS, growth=growth
    )


def test_mean_growth_is_the_drift() -> None:
    factors = growth(0, 4000)
    error = math.exp(0.05) * math.sqrt((math.exp(0.16**2) - 1) / factors.size)
    assert abs(factors.mean() - math.exp(0.05)) < 4 * error


def test_a_contract_gets_its_fund_or_its_guarantee() -> None:
    flat = maturity(np.ones((1, 25)))
    assert flat["payout"] == pytest.approx([12_000 + 36_000 + 12_000 + 36_000 + 45_000])
    assert flat["shortfall"] == pytest.approx([0])
    crash = maturity(np.full((1, 25), 1e-9))
    assert crash["payout"] == pytest.approx([12_000 + 36_000 + 12_000 + 34_000 + 45_000])
    assert crash["shortfall"] == pytest.approx(crash["payout"], rel=1e-6)


def test_bits_do_not_depend_on_the_size_of_blocks() -> None:
    whole = maturity(growth(0, 80))
    parts = [maturity(growth(first, first + 8)) for first in range(0, 80, 8)]
    for output in ("payout", "shortfall"):
        assert np.concatenate([part[output] for part in parts]).tobytes() == whole[output].tobytes()
