"""Term life: the net present value of a portfolio to the insurer, in each scenario, summed over policies.

Deaths and lapses follow their tables and do not depend on the scenario; discounting does.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from livecalc.pipeline.block import Block

Floats = NDArray[np.float64]
Table = Mapping[str, NDArray]
"""`table["column"]` is an array."""

FEMALE = 2
"""Column `sex` is coded as ISO/IEC 5218 does: 1 male, 2 female."""
TECHNICAL_RATE = 0.03
LOADING = 1.5
ISSUE_EXPENSE = 300.0
YEARLY_EXPENSE = 60.0
INFLATION = 0.01


def npv(
    block: "Block",
    /,
    *,
    policies: Table,
    mortality_male: Table,
    mortality_female: Table,
    discount: Floats,
) -> Floats:
    """Return the NPV of all policies, shape (scenarios,), from discount factors by time, shape (scenarios, years + 1).

    Each policy is valued in each scenario by plain loops over years: no matrix product, whose bits would depend on
    the number of rows.
    """
    flows = cash_flows(policies, mortality_male, mortality_female)
    values = np.zeros((len(block), flows.shape[1]))
    present = np.empty_like(values)
    for time, flow in enumerate(flows):
        np.multiply(discount[:, time, np.newaxis], flow, out=present)
        values += present
    return values.sum(axis=1)


def cash_flows(policies: Table, mortality_male: Table, mortality_female: Table) -> Floats:
    """Return the expected cash flow of each policy at each time, shape (longest term + 1, policies).

    At the beginning of a year premiums come in and expenses go out, the first premium is paid away as commission;
    claims are paid at the year's end.
    """
    term, sum_assured = policies["term"], policies["sum_assured"]
    deaths = death_probabilities(policies, mortality_male, mortality_female)
    premiums = yearly_premiums(term, sum_assured, deaths)
    flows = np.zeros((len(deaths) + 1, len(term)))
    in_force = np.ones(len(term))
    flows[0] = -premiums - ISSUE_EXPENSE
    expense = YEARLY_EXPENSE
    for year, q in enumerate(deaths):
        active = np.where(year < term, in_force, 0.0)
        flows[year] += active * (premiums - expense)
        flows[year + 1] -= active * q * sum_assured
        in_force = in_force * (1.0 - q) * (1.0 - lapse_rate(year))
        expense *= 1.0 + INFLATION
    return flows


def lapse_rate(year: int) -> float:
    """Return the share of survivors who lapse at the end of a policy year, counted from 0: 10 % falling to 2 %."""
    return max(0.10 - 0.02 * year, 0.02)


def death_probabilities(policies: Table, mortality_male: Table, mortality_female: Table) -> Floats:
    """Return q of each policy in each year of the longest term, shape (years, policies)."""
    male, female = _by_age(mortality_male), _by_age(mortality_female)
    women = policies["sex"] == FEMALE
    ages = policies["age"]
    return np.array([np.where(women, female[ages + year], male[ages + year]) for year in range(policies["term"].max())])


def yearly_premiums(term: NDArray, sum_assured: NDArray, deaths: Floats) -> Floats:
    """Return the gross premium of each policy, in advance and in cents: 1.5 times the net premium at 3 %."""
    insurance, annuity = np.zeros(len(term)), np.zeros(len(term))
    alive = np.ones(len(term))
    for year, q in enumerate(deaths):
        alive = np.where(year < term, alive, 0.0)
        annuity += alive
        alive = alive / (1.0 + TECHNICAL_RATE)
        insurance += alive * q
        alive = alive * (1.0 - q)
    return np.round(LOADING * sum_assured * insurance / annuity, 2)


def _by_age(table: Table) -> Floats:
    """Return q by age; a table that does not list the ages from 0 on would be read at the wrong place."""
    if not np.array_equal(table["age"], np.arange(len(table["age"]))):
        message = "a mortality table must list each age from 0 on"
        raise ValueError(message)
    return table["qx"]
