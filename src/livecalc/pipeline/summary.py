"""The distribution of each output over scenarios: moments, quantiles, tail expectations.

Computed on the whole output in the order of scenarios, so that no figure depends on how it was partitioned.
Definitions: `docs/models.md`. Not part of the result hash.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livecalc.wire.jobs import OutputSummary

QUANTILES = ("0.5", "5", "50", "95", "99.5")
"""Percent; linear between order statistics (Hyndman and Fan 1996, type 7)."""
TAILS = ("70", "90", "99")
"""Percent; the expectation beyond it."""
MAX_COLUMNS = 100
"""Of an output with more than one value a scenario, the first columns that are summarised."""


def summarise_outputs(arrays: Mapping[str, NDArray[Any]]) -> list[OutputSummary]:
    """Summarise outputs by name, axis 0 scenarios; a wider output has one summary a column, `npv[3]` or `npv[3,0]`."""
    return [summarise(name, values) for output, array in arrays.items() for name, values in _columns(output, array)]


def summarise(name: str, values: NDArray[Any]) -> OutputSummary:
    """Summarise one value a scenario, shape (scenarios,). A figure that is not finite is None."""
    ordered = np.sort(values.astype("f8"))
    mean, deviation = _moments(values.astype("f8"))
    count = len(values)
    return OutputSummary(
        output=name,
        count=count,
        mean=_finite(mean),
        se=_finite(deviation / np.sqrt(count)),
        sd=_finite(deviation),
        quantiles={percent: _finite(_quantile(ordered, percent)) for percent in QUANTILES},
        cte={percent: _finite(_tail(ordered, int(percent))) for percent in TAILS},
    )


def _columns(output: str, array: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    if array.ndim == 1:
        yield output, array
        return
    for number, place in enumerate(np.ndindex(*array.shape[1:])):
        if number == MAX_COLUMNS:
            return
        yield f"{output}[{','.join(map(str, place))}]", array[(slice(None), *place)]


def _moments(values: NDArray[Any]) -> tuple[float, float]:
    """Mean, and standard deviation with n - 1 in two passes; the deviation of one value is NaN.

    Of many equal values they are that value and 0, without what rounding would make of them.
    """
    count = len(values)
    if count > 1 and np.isfinite(values[0]) and (values == values[0]).all():
        return float(values[0]), 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        mean = float(np.add.reduce(values)) / count
        squares = float(np.add.reduce((values - mean) ** 2))
    return mean, (squares / (count - 1)) ** 0.5 if count > 1 else float("nan")


def _quantile(ordered: NDArray[Any], percent: str) -> float:
    """Interpolate at (n - 1) p, counted from 0; NaN sorts last, and one of them makes all figures NaN."""
    if np.isnan(ordered[-1]):
        return float("nan")
    tenths = round(float(percent) * 10)
    low, rest = divmod((len(ordered) - 1) * tenths, 1000)
    if not rest:
        return float(ordered[low])
    below, above = float(ordered[low]), float(ordered[low + 1])
    return below + (above - below) * (rest / 1000) if below != above else below


def _tail(ordered: NDArray[Any], percent: int) -> float:
    """Mean of the largest (100 - p) % of n values; the value on the boundary counts with the fraction that fits in."""
    hundredths = len(ordered) * (100 - percent)
    whole, rest = divmod(hundredths, 100)
    top = ordered[len(ordered) - whole :]
    with np.errstate(invalid="ignore", over="ignore"):
        total = float(np.add.reduce(top))
        if rest:
            total += float(ordered[len(ordered) - whole - 1]) * (rest / 100)
    return total / (hundredths / 100)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
