"""The first difference of two arrays, and its extent."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from livecalc.pipeline.compare import ArrayDifference, compare_arrays

X = np.arange(1.0, 13.0).reshape(4, 3)


def changed(place: tuple[int, ...], value: float) -> NDArray[Any]:
    array = X.copy()
    array[place] = value
    return array


def test_the_first_differing_scenario_and_the_extent() -> None:
    after = changed((2, 1), np.nextafter(8.0, 9))
    after[3, 0] = 11.0
    assert compare_arrays(X, after) == ArrayDifference(
        scenario=2, original=8.0, resumed=float(np.nextafter(8.0, 9)), differing=2, total=12, largest_relative=1 / 11
    )


def test_equal_arrays_do_not_differ() -> None:
    nan = changed((1, 1), np.nan)
    assert compare_arrays(nan, nan.copy()) == ArrayDifference(differing=0, total=12)


def test_minus_zero_differs_by_nothing() -> None:
    found = compare_arrays(changed((0, 0), 0.0), changed((0, 0), -0.0))
    assert (found.scenario, found.differing, found.largest_relative) == (0, 1, 0.0)


def test_numbers_of_opposite_sign_and_any_size() -> None:
    assert compare_arrays(np.array([1e308]), np.array([-1e308])).largest_relative == 2.0
    assert compare_arrays(np.array([5e-324]), np.array([0.0])).largest_relative == 1.0


def test_what_is_not_finite_has_no_relative_difference() -> None:
    found = compare_arrays(X, changed((0, 2), np.nan))
    assert (found.scenario, found.original, found.resumed, found.largest_relative) == (0, 3.0, None, None)


@pytest.mark.parametrize("other", [X[:2], X.astype("f4"), X.reshape(3, 4)])
def test_arrays_of_other_shapes_have_no_common_values(other: NDArray[Any]) -> None:
    assert compare_arrays(X, other) == ArrayDifference()


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f4"])
def test_every_published_dtype(dtype: str) -> None:
    before, after = np.zeros(5, dtype), np.zeros(5, dtype)
    after[3] = 1
    found = compare_arrays(before, after)
    assert (found.scenario, found.original, found.resumed, found.differing) == (3, 0.0, 1.0, 1)
