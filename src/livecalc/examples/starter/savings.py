"""Node `savings`: what the contracts pay at maturity."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from livecalc.pipeline.block import Block

Floats = NDArray[np.float64]


# `growth` is what node `market` published on the bus. Several outputs are returned by name.
def maturity(block: "Block", /, *, contracts: Mapping[str, NDArray], growth: Floats) -> dict[str, Floats]:
    """Return `payout` and `shortfall`, each of shape (scenarios,), summed over contracts, undiscounted."""
    premium, years, guarantee = contracts["premium"], contracts["years"], contracts["guarantee"]
    fund = np.zeros((len(block), len(premium)))
    # A loop over years gives the same bits for any number of scenarios in a block; a matrix product may not.
    for year in range(years.max()):
        active = year < years
        fund = np.where(active, (fund + premium) * growth[:, year, np.newaxis], fund)
    payout = np.maximum(fund, guarantee)
    # Contracts are summed here. Scenarios never are: the mean and the tail are computed from all of them at the end.
    return {"payout": payout.sum(axis=1), "shortfall": (payout - fund).sum(axis=1)}
