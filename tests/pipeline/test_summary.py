"""Summaries, against definitions written out and against NumPy's own."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import Philox

from livecalc.pipeline.summary import MAX_COLUMNS, summarise, summarise_outputs

THOUSAND = (Philox(key=1).random_raw(1000) >> np.uint64(11)).astype("f8") * 2.0**-53 * 1e8


def test_a_summary_by_hand() -> None:
    found = summarise("npv", np.array([4.0, 1.0, 3.0, 2.0]))
    assert (found.output, found.count, found.mean) == ("npv", 4, 2.5)
    assert (found.sd, found.se) == pytest.approx(((5 / 3) ** 0.5, (5 / 3) ** 0.5 / 2))
    assert found.quantiles == pytest.approx({"0.5": 1.015, "5": 1.15, "50": 2.5, "95": 3.85, "99.5": 3.985})
    # The largest 1.2, 0.4 and 0.04 values.
    assert found.cte == pytest.approx({"70": (4 + 0.2 * 3) / 1.2, "90": 4.0, "99": 4.0})


def test_figures_agree_with_numpy() -> None:
    found = summarise("npv", THOUSAND)
    assert found.mean == pytest.approx(THOUSAND.mean(), rel=1e-14)
    assert found.sd == pytest.approx(THOUSAND.std(ddof=1), rel=1e-13)
    assert found.se == pytest.approx(THOUSAND.std(ddof=1) / 1000**0.5, rel=1e-13)
    for percent, value in found.quantiles.items():
        assert value == pytest.approx(np.quantile(THOUSAND, float(percent) / 100, method="linear"), rel=1e-14)
    for percent, size in (("70", 300), ("90", 100), ("99", 10)):
        assert found.cte[percent] == pytest.approx(np.sort(THOUSAND)[-size:].mean(), rel=1e-14)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=40), st.sampled_from([70, 90, 99]))
def test_tail_expectation_is_exact_with_a_fraction_on_the_boundary(numbers: list[int], percent: int) -> None:
    size = Fraction(len(numbers) * (100 - percent), 100)
    left, total = size, Fraction(0)
    for number in sorted(numbers, reverse=True):
        weight = min(left, Fraction(1))
        total += weight * number
        left -= weight
    found = summarise("x", np.array(numbers)).cte[str(percent)]
    assert found == pytest.approx(float(total / size), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("order", [slice(None, None, -1), np.argsort(THOUSAND)])
def test_quantiles_and_tails_do_not_depend_on_the_order_of_scenarios(order: Any) -> None:
    assert summarise("x", THOUSAND[order]).quantiles == summarise("x", THOUSAND).quantiles
    assert summarise("x", THOUSAND[order]).cte == summarise("x", THOUSAND).cte


def test_one_scenario_has_no_deviation() -> None:
    found = summarise("x", np.array([3.0]))
    assert (found.mean, found.sd, found.se, found.quantiles["5"], found.cte["70"]) == (3.0, None, None, 3.0, 3.0)


@pytest.mark.parametrize("value", [0.1, 1e17 / 3, -7.0, 0.0])
def test_a_constant_has_no_deviation_at_all(value: float) -> None:
    found = summarise("c", np.full(1001, value))
    assert (found.mean, found.sd, found.se) == (value, 0.0, 0.0)


def test_nan_makes_every_figure_none() -> None:
    found = summarise("x", np.array([1.0, np.nan, 2.0]))
    assert [found.mean, found.se, found.sd, *found.quantiles.values(), *found.cte.values()] == [None] * 11


def test_infinities_leave_the_figures_they_do_not_touch() -> None:
    found = summarise("x", np.array([1.0, 2.0, np.inf] + [0.0] * 97))
    assert (found.mean, found.sd, found.cte["90"]) == (None, None, None)
    assert (found.quantiles["50"], found.quantiles["99.5"]) == (0.0, None)
    assert summarise("x", np.array([np.inf, -np.inf])).mean is None
    assert summarise("x", np.array([np.inf] * 4)).quantiles["5"] is None


@pytest.mark.parametrize("dtype", ["i8", "u1", "?", "f4"])
def test_every_published_dtype_is_summarised_in_doubles(dtype: str) -> None:
    assert summarise("x", np.array([1, 0, 1, 0], dtype=dtype)).mean == 0.5


def test_wider_outputs_have_a_summary_a_column() -> None:
    wide = np.arange(12.0).reshape(2, 2, 3)
    found = summarise_outputs({"npv": THOUSAND, "rates": wide, "flat": wide[:, 0]})
    names = ["npv", *(f"rates[{i},{j}]" for i in range(2) for j in range(3)), *(f"flat[{j}]" for j in range(3))]
    assert [summary.output for summary in found] == names
    assert found[names.index("rates[1,2]")].mean == 8.0


def test_only_so_many_columns_are_summarised() -> None:
    assert len(summarise_outputs({"x": np.zeros((2, 5000))})) == MAX_COLUMNS
