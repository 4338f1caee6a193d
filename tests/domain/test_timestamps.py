"""Timestamps: one way to write them, and nothing else is read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecalc.domain.timestamps import archive_timestamp, format_timestamp, parse_archive_timestamp, parse_timestamp

ZONES = st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(
    lambda offset: timezone(timedelta(minutes=int(offset.total_seconds() // 60)))
)
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)  # noqa: DTZ001  (zones are drawn)


@given(MOMENTS)
def test_what_is_written_is_read_back(moment: datetime) -> None:
    text = format_timestamp(moment)
    assert len(text) == 20
    assert parse_timestamp(text) == moment.replace(microsecond=0)
    for number in ("", "-2", "-17"):
        assert parse_archive_timestamp(archive_timestamp(moment) + number) == moment.replace(microsecond=0)


@given(MOMENTS, MOMENTS)
def test_order_is_kept(one: datetime, other: datetime) -> None:
    if one.replace(microsecond=0) < other.replace(microsecond=0):
        assert format_timestamp(one) < format_timestamp(other)
        assert archive_timestamp(one) < archive_timestamp(other)


@given(st.text(max_size=30))
def test_nothing_else_is_read(text: str) -> None:
    moment = parse_timestamp(text)
    assert moment is None or format_timestamp(moment) == text


@pytest.mark.parametrize(
    "text",
    ["", "2026-01-25", "2026-01-25T01:00:00", "2026-01-25T01:00:00+00:00", "2026-01-25T01:00:00.5Z",
     "2026-01-25 01:00:00Z", "2026-01-25t01:00:00z", "2026-13-25T01:00:00Z", "2026-02-30T01:00:00Z",
     "2026-01-25T24:00:00Z", "2026-01-25T01:00:60Z", "0000-01-01T00:00:00Z", "2026-01-25T01:00:00Z\n",
     "\N{ARABIC-INDIC DIGIT TWO}026-01-25T01:00:00Z", "1769302800"],
)  # fmt: skip
def test_almost_timestamps_are_none(text: str) -> None:
    assert parse_timestamp(text) is None


def test_as_the_contract_writes_them() -> None:
    moment = datetime(2026, 1, 25, 2, 0, 0, 999, tzinfo=timezone(timedelta(hours=1)))
    assert format_timestamp(moment) == "2026-01-25T01:00:00Z"
    assert archive_timestamp(moment) == "20260125-010000"
    assert parse_timestamp("2026-01-25T01:00:00Z") == datetime(2026, 1, 25, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "20260125", "20260125-01000", "20260125-010000-",
                                  "20260125-010000-0", "20261325-010000", "20260125-010060", "20260125T010000",
                                  "20260125-010000\n"])  # fmt: skip
def test_almost_paths_of_archives_are_none(text: str) -> None:
    assert parse_archive_timestamp(text) is None
