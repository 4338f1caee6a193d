"""Buffers: what lies around them, what a model can and cannot do with its view, what a check finds."""

import ctypes
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from livecalc.domain.errors import ModelFailed
from livecalc.pipeline.bus import CANARY_BYTES, Bus, plain_bytes

ADDRESS = "bus://scenarios/rates"


def flip(view: NDArray[Any], offset: int) -> tuple[int, int]:
    """Change one byte, counted from the view's first, behind NumPy's back; what it was and is."""
    byte = ctypes.c_uint8.from_address(view.ctypes.data + offset)
    before = byte.value
    byte.value ^= 0xFF
    return before, byte.value


@pytest.mark.parametrize("beyond", [0, 1, CANARY_BYTES - 1])
def test_a_byte_past_the_end_is_found_with_its_exact_offset(beyond: int) -> None:
    bus = Bus()
    view = bus.publish(ADDRESS, np.arange(5, dtype="f4"))
    before, after = flip(view, 20 + beyond)
    (breach,) = bus.check()
    assert breach.violation.offset == 20 + beyond
    expected, actual = bytes.fromhex(breach.violation.expected), bytes.fromhex(breach.violation.actual)
    assert len(expected) == len(actual) == CANARY_BYTES
    assert (expected[beyond], actual[beyond]) == (before, after)
    assert expected[:beyond] + expected[beyond + 1 :] == actual[:beyond] + actual[beyond + 1 :]
    assert breach.what == f"wrote past the end of {ADDRESS} (20 bytes), at byte {20 + beyond}"


@pytest.mark.parametrize("before", [1, CANARY_BYTES])
def test_a_byte_before_the_beginning_is_found(before: int) -> None:
    bus = Bus()
    flip(bus.publish(ADDRESS, np.arange(5, dtype="u1")), -before)
    (breach,) = bus.check()
    assert breach.violation.offset == -before
    assert "before the beginning" in breach.what


def test_a_changed_value_is_found_with_what_it_was() -> None:
    bus = Bus()
    view = bus.publish(ADDRESS, np.arange(100, dtype="u1"))
    flip(view, 42)
    (breach,) = bus.check({ADDRESS})
    assert breach.violation.offset == 42
    assert bytes.fromhex(breach.violation.expected) == bytes(range(42, 58))
    assert bytes.fromhex(breach.violation.actual) == bytes([42 ^ 0xFF, *range(43, 58)])
    assert bus.check({"another"}) == []


def test_a_change_near_the_end_shows_the_bytes_that_there_are() -> None:
    bus = Bus()
    flip(bus.publish(ADDRESS, np.arange(20, dtype="u1")), 18)
    (breach,) = bus.check()
    assert breach.violation.expected == "1213"


def test_a_file_is_read_again_for_what_a_changed_byte_was() -> None:
    bus = Bus()
    column = np.array([1, 2, 3], dtype=">i2")
    flip(bus.load("inputs/a.csv", column, column="age", original=lambda: plain_bytes(column)), 2)
    (breach,) = bus.check()
    assert (breach.violation.offset, breach.violation.expected) == (2, "02000300")
    assert "column 'age' of inputs/a.csv" in breach.what


def test_a_file_that_was_changed_too_leaves_the_checksums() -> None:
    bus = Bus()
    view = bus.load("inputs/a.npy", np.zeros(4), original=lambda: np.ones(1).tobytes())
    flip(view, 9)
    (breach,) = bus.check()
    assert breach.violation.offset == 0
    assert len(breach.violation.expected) == 8


def test_all_breaches_are_found() -> None:
    bus = Bus()
    one, two = bus.publish("bus://a", np.zeros(3)), bus.publish("bus://b", np.zeros(3))
    flip(one, 24)
    flip(one, -1)
    flip(two, 0)
    assert [breach.violation.offset for breach in bus.check()] == [-1, 24, 0]


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_nothing_can_lie_on_the_bus_too(shape: tuple[int, ...]) -> None:
    bus = Bus()
    assert bus.load("inputs/a.npy", np.zeros(shape), original=bytes).shape == shape
    assert bus.check() == []


@pytest.mark.parametrize("shape", [(), (1,), (2, 3, 4)])
def test_canaries_lie_around_every_shape(shape: tuple[int, ...]) -> None:
    bus = Bus()
    view = bus.load("inputs/a.npy", np.full(shape, 1.5), original=bytes)
    assert view.shape == shape
    assert (view == 1.5).all()
    flip(view, view.nbytes)
    assert [breach.violation.offset for breach in bus.check()] == [view.nbytes]


def test_canaries_differ_from_buffer_to_buffer() -> None:
    bus = Bus()
    canaries = {
        bytes((ctypes.c_uint8 * CANARY_BYTES).from_address(bus.publish(f"bus://{n}", np.zeros(2)).ctypes.data + 16))
        for n in range(10)
    }
    assert len(canaries) == 10


def test_a_view_is_read_only_and_stays_so() -> None:
    view = Bus().publish(ADDRESS, np.zeros((2, 3)))
    for array in (view, view.reshape(-1), view[1:], view.T, view.view("u1"), np.asarray(view)):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


def test_values_are_copied_in_c_order_and_little_endian() -> None:
    values = np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3))
    view = Bus().publish(ADDRESS, values)
    values[...] = 0
    assert view.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (view.dtype.str, view.flags.c_contiguous) == ("<i4", True)
    assert view.ctypes.data % 64 == 0


def test_nan_is_made_canonical_when_published_and_minus_zero_stays() -> None:
    payload = np.array([0x7FF0000000000001, 0xFFF8000000000001, 0x8000000000000000, 0x7FF0000000000000], dtype="u8")
    bits = Bus().publish(ADDRESS, payload.view("f8")).view("u8")
    assert bits.tolist() == [0x7FF8000000000000, 0x7FF8000000000000, 0x8000000000000000, 0x7FF0000000000000]
    small = np.array([0xFFC00001, 0x7F800001, 0x80000000], dtype="u4")
    assert Bus().publish(ADDRESS, small.view("f4")).view("u4").tolist() == [0x7FC00000, 0x7FC00000, 0x80000000]


def test_a_files_own_nan_is_left_as_it_is() -> None:
    bits = np.array([0x7FF00000000007A2], dtype="u8")  # R's NA
    assert Bus().load("inputs/a.npy", bits.view("f8"), original=bytes).view("u8").tolist() == bits.tolist()


def test_python_objects_cannot_lie_on_the_bus() -> None:
    with pytest.raises(ModelFailed, match="Python objects"):
        Bus().load("inputs/a.npy", np.array([None]), original=bytes)


def test_a_removed_value_is_watched_no_more() -> None:
    bus = Bus()
    view = bus.publish(ADDRESS, np.zeros(2))
    bus.remove({ADDRESS})
    flip(view, 0)
    assert bus.check() == []
    assert bus.view(ADDRESS) is None
