"""Durations, sizes and numbers: literal examples, and what must hold for all of them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecalc.cli import format as text
from livecalc.cli.times import read_since
from livecalc.domain.errors import InvalidInput

SECONDS = st.floats(min_value=0, max_value=10_000_000)
NOW = datetime(2026, 1, 25, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0.00s"),
        (0.414, "0.41s"),
        (0.999, "0.99s"),
        (1, "1.0s"),
        (3.87, "3.8s"),
        (59.99, "59.9s"),
        (65.2, "1m05s"),
        (7860, "2h11m"),
        (93_840, "26h04m"),
        (277_200, "3d05h"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert text.duration(seconds) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(-3, "0s"), (45.9, "45s"), (372, "6m12s"), (3599, "59m59s")])
def test_ages(seconds: float, expected: str) -> None:
    assert text.age(seconds) == expected


@given(SECONDS)
def test_a_duration_reads_back_within_its_last_digit(seconds: float) -> None:
    read = text.parse_duration(text.duration(seconds))
    step = 0.01 if seconds < 1 else 0.1 if seconds < 60 else 1 if seconds < 3600 else 60 if seconds < 172_800 else 3600
    assert seconds - step - 1e-6 < read <= seconds + 1e-6


@given(SECONDS, SECONDS)
def test_a_longer_duration_never_reads_shorter(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert text.parse_duration(text.duration(low)) <= text.parse_duration(text.duration(high))


@given(st.text(max_size=8))
def test_any_text_is_a_duration_or_refused(written: str) -> None:
    try:
        seconds = text.parse_duration(written)
    except InvalidInput:
        seconds = 0
    assert seconds >= 0


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90", 90), ("90s", 90), ("15m", 900), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172_800), ("3d04h", 273_600)],
)
def test_durations_as_people_write_them(written: str, seconds: float) -> None:
    assert text.parse_duration(written) == seconds


@pytest.mark.parametrize("written", ["", "soon", "-5", "1h-", "5 m", "h", "1m1h", "٣"])
def test_what_is_no_duration_is_refused(written: str) -> None:
    with pytest.raises(InvalidInput, match="is not a duration"):
        text.parse_duration(written)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (812, "812 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10_240, "10 KiB"),
        (421_888, "412 KiB"),
        (3_600_000, "3.4 MiB"),
        (1 << 30, "1.0 GiB"),
        (1 << 70, "1048576 PiB"),
    ],
)
def test_sizes(count: int, expected: str) -> None:
    assert text.size(count) == expected


@given(st.integers(0, 1 << 60), st.integers(0, 1 << 60))
def test_more_bytes_never_read_as_less(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert _bytes(text.size(low)) <= _bytes(text.size(high))
    assert _bytes(text.size(high)) <= high


def _bytes(written: str) -> float:
    figure, unit = written.split()
    return float(figure) * 1024 ** ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].index(unit)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"),
        (0.0, "0"),
        (-0.0, "0"),
        (68_094_678.7, "68,094,679"),
        (8132.4149, "8,132.41"),
        (-8132.4149, "-8,132.41"),
        (1.5, "1.50000"),
        (0.03047114, "0.0304711"),
        (0.0000123456789, "1.23457e-05"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_numbers(value: float | None, expected: str) -> None:
    assert text.number(value) == expected


@given(st.floats(min_value=-1e15, max_value=1e15))
def test_a_number_keeps_six_digits(value: float) -> None:
    read = float(text.number(value).replace(",", ""))
    assert abs(read - value) <= abs(value) * 1e-5


def test_moments_and_ages() -> None:
    assert text.moment("2026-01-25T01:00:02Z") == "2026-01-25 01:00:02Z"
    assert text.day("2026-01-25T01:00:02Z") == "2026-01-25"
    assert text.since("2026-01-25T09:49:00Z", NOW) == "2h11m"
    assert text.since("yesterday", NOW) == text.since(None, NOW) == "-"
    assert text.between("2026-01-25T01:00:02Z", "2026-01-25T01:00:06Z") == "4s"
    assert text.between("2026-01-25T01:00:02Z", "2026-01-25T01:00:02Z") == "<1s"
    assert text.between("2026-01-25T01:00:02Z", None) == "-"


def test_counts_and_hashes() -> None:
    assert text.count(1, "pod") == "1 pod"
    assert text.count(1000, "scenario") == "1,000 scenarios"
    assert text.count(2, "entry", "entries") == "2 entries"
    assert text.short("9be21f07c4d3a1b2") == "9be21f07c4d3"
    assert text.short(None) == "-"


def test_text_of_others_cannot_drive_the_terminal() -> None:
    assert text.plain("a\x1b[2Jb\nc\td") == "a�[2Jb�c�d"
    assert text.plain("prämie und ok") == "prämie und ok"


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2h", "2026-01-25T10:00:00Z"),
        ("7d", "2026-01-18T12:00:00Z"),
        ("2026-01-01", "2026-01-01T00:00:00Z"),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00+01:00", "2026-01-01T10:00:00+01:00"),
    ],
)
def test_since_is_an_age_a_day_or_a_moment(written: str, moment: str) -> None:
    assert read_since(written, NOW) == moment


@pytest.mark.parametrize("written", ["99999999999d", "yesterday", "2026-13-01", "2026-01-01T10:00:00"])
def test_any_other_since_is_told_what_it_may_be(written: str) -> None:
    with pytest.raises(InvalidInput, match=r"--since .*2h or 7d.*RFC 3339"):
        read_since(written, NOW)
