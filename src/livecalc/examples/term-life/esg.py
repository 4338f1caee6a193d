"""Economic scenarios: Vasicek short rates under the risk-neutral measure, and the discount factors that go with them.

dr = a (b - r) dt + sigma dW. The rate and its integral are drawn jointly and exactly, so a year's step has no error,
and the mean discount factor is the price of a zero-coupon bond (Vasicek, Journal of Financial Economics 5, 1977).
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from livecalc.pipeline.block import Block

Floats = NDArray[np.float64]

YEARS = 40


class Vasicek(NamedTuple):
    """Parameters, a year as the unit of time."""

    a: float = 0.15
    """Speed of reversion."""
    b: float = 0.04
    """Long-term rate."""
    sigma: float = 0.01
    """Volatility."""
    r0: float = 0.03
    """Rate at time 0."""


class Step(NamedTuple):
    """One year: r' = b + (r - b) decay + r_z1 z1, and I' = I + b + (r - b) annuity + i_z1 z1 + i_z2 z2."""

    decay: float
    annuity: float
    r_z1: float
    i_z1: float
    i_z2: float


def short_rates(block: "Block", /) -> dict[str, Floats]:
    """Return `rates` and `discount`, each of shape (scenarios, 41): column t is time t in years."""
    rates, integrals = simulate(block.normals(2 * YEARS, "rates"), Vasicek())
    return {"rates": rates, "discount": np.exp(-integrals)}


def simulate(normals: Floats, model: Vasicek) -> tuple[Floats, Floats]:
    """Return the rate r and I, its integral from 0, at times 0 to n, from normals of shape (scenarios, 2 n)."""
    scenarios, years = normals.shape[0], normals.shape[1] // 2
    rates = np.empty((scenarios, years + 1))
    integrals = np.empty((scenarios, years + 1))
    rates[:, 0], integrals[:, 0] = model.r0, 0.0
    year = step(model)
    for t in range(years):
        z1, z2 = normals[:, 2 * t], normals[:, 2 * t + 1]
        excess = rates[:, t] - model.b
        rates[:, t + 1] = model.b + excess * year.decay + year.r_z1 * z1
        integrals[:, t + 1] = integrals[:, t] + model.b + excess * year.annuity + year.i_z1 * z1 + year.i_z2 * z2
    return rates, integrals


def step(model: Vasicek) -> Step:
    """Return the exact moments of a year: the Cholesky factor of the covariance of r and I."""
    a, _, sigma, _ = model
    decay = math.exp(-a)
    annuity = (1.0 - decay) / a
    variance_r = sigma**2 * (1.0 - decay**2) / (2.0 * a)
    variance_i = (sigma / a) ** 2 * (1.0 - 2.0 * annuity + (1.0 - decay**2) / (2.0 * a))
    covariance = sigma**2 * annuity**2 / 2.0
    r_z1 = math.sqrt(variance_r)
    i_z1 = covariance / r_z1 if r_z1 else 0.0
    return Step(decay=decay, annuity=annuity, r_z1=r_z1, i_z1=i_z1, i_z2=math.sqrt(variance_i - i_z1**2))


def zero_coupon(t: float, model: Vasicek) -> float:
    """Return P(t), the closed-form price at time 0 of 1 paid at time t: the mean of the discount factor."""
    a, b, sigma, r0 = model
    annuity = (1.0 - math.exp(-a * t)) / a
    drift = (annuity - t) * (b - sigma**2 / (2.0 * a**2))
    return math.exp(drift - sigma**2 * annuity**2 / (4.0 * a) - annuity * r0)
