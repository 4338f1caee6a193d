"""Node `market`: how the fund grows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from livecalc.pipeline.block import Block

YEARS = 25


# A node is a function: first the block of scenarios, then, by name, each of the node's inputs in the configuration.
# A CSV or Parquet file comes as a table whose columns are arrays; arrays are read-only.
def yearly_growth(block: "Block", /, *, equity: Mapping[str, NDArray]) -> NDArray[np.float64]:
    """Return the fund's growth factor in each year, shape (scenarios, years): lognormal, independent years."""
    drift, volatility = equity["drift"][0], equity["volatility"][0]
    # Random numbers come from the block and from nowhere else: they belong to the scenario, so that the result is
    # the same however many workers compute it. Another name in place of "equity" gives independent numbers.
    normals = block.normals(YEARS, "equity")
    # Axis 0 of what a node returns is the block's scenarios.
    return np.exp(drift - volatility**2 / 2.0 + volatility * normals)
