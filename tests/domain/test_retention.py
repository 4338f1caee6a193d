"""How long archives are kept."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecalc.domain.retention import Retention, retain_until


@given(st.datetimes(datetime(2020, 1, 1), datetime(2990, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  (UTC is drawn)
def test_standard_is_thirty_days_and_regulatory_seven_years(moment: datetime) -> None:
    assert retain_until(Retention.STANDARD, moment) - moment == timedelta(days=30)
    end = retain_until(Retention.REGULATORY, moment)
    assert (end.year, end.month) == (moment.year + 7, moment.month)
    assert abs((end - moment) - timedelta(days=7 * 365.25)) <= timedelta(days=2)


@pytest.mark.parametrize(
    ("began_at", "until"),
    [
        (datetime(2024, 2, 29, 12, tzinfo=UTC), datetime(2031, 2, 28, 12, tzinfo=UTC)),
        (datetime(2026, 1, 25, 1, tzinfo=UTC), datetime(2033, 1, 25, 1, tzinfo=UTC)),
    ],
)
def test_seven_years_end_on_the_same_day(began_at: datetime, until: datetime) -> None:
    assert retain_until(Retention.REGULATORY, began_at) == until
