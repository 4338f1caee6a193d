"""Where two arrays of one output first differ, and how far they lie apart. Compares bits, as the result hash does."""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray


class ArrayDifference(Struct, frozen=True, kw_only=True):
    """How two arrays of one output differ; all None when their shapes or dtypes do, so that no value has a partner."""

    scenario: int | None = None
    """Row of the first differing value."""
    original: float | None = None
    resumed: float | None = None
    """None for NaN and infinities."""
    differing: int | None = None
    total: int | None = None
    largest_relative: float | None = None
    """Largest |a - b| / max(|a|, |b|); None when a differing value is not finite."""


def compare_arrays(original: NDArray[Any], resumed: NDArray[Any]) -> ArrayDifference:
    """Compare two whole outputs, axis 0 scenarios; `-0.0` differs from `0.0`, equal bits of NaN do not differ."""
    if original.shape != resumed.shape or original.dtype != resumed.dtype:
        return ArrayDifference()
    before, after = original.reshape(-1), resumed.reshape(-1)
    unequal = np.flatnonzero(_bits(before) != _bits(after))
    if not len(unequal):
        return ArrayDifference(differing=0, total=original.size)
    first = int(unequal[0])
    return ArrayDifference(
        scenario=first // (original.size // original.shape[0]),
        original=_finite(before[first]),
        resumed=_finite(after[first]),
        differing=len(unequal),
        total=original.size,
        largest_relative=_largest_relative(before[unequal], after[unequal]),
    )


def _bits(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _largest_relative(before: NDArray[Any], after: NDArray[Any]) -> float | None:
    a, b = before.astype("f8"), after.astype("f8")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    scale = np.maximum(np.abs(a), np.abs(b))
    scale[scale == 0] = 1.0
    with np.errstate(over="ignore"):
        apart = np.abs(a - b) / scale
    far = np.isinf(apart)
    apart[far] = np.abs(a[far] / scale[far] - b[far] / scale[far])
    return float(apart.max())
