"""How long the adapter waits before another try."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from livecalc.cluster.kubernetes.retry import Patience, wish_of


@pytest.mark.parametrize(
    ("header", "wish"), [(None, None), ("", None), ("0", 0.0), ("7", 7.0), ("soon", None), ("-1", None), ("1.5", None)]
)
def test_a_wish_is_read(header: str | None, wish: float | None) -> None:
    assert wish_of(header) == wish


def test_a_wish_may_be_a_time() -> None:
    now = datetime.now(UTC)

    wish = wish_of(format_datetime(now + timedelta(seconds=20), usegmt=True))

    assert wish is not None
    assert 15 < wish <= 20
    assert wish_of(format_datetime(now - timedelta(hours=1), usegmt=True)) == 0.0


def test_pauses_double_up_to_the_longest() -> None:
    patience = Patience(pause=0.2, longest_pause=5.0, chance=lambda: 0.5)

    assert [patience.before(again) for again in (1, 2, 3, 6, 100)] == [0.2, 0.4, 0.8, 5.0, 5.0]


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 0.1), (0.999, 0.2998)])
def test_not_all_come_at_once(chance: float, pause: float) -> None:
    assert Patience(pause=0.2, chance=lambda: chance).before(1) == pytest.approx(pause)


def test_a_wish_is_a_least_but_not_a_blank_cheque() -> None:
    patience = Patience(pause=0.2, chance=lambda: 0.5)

    assert patience.before(1, 3.0) == pytest.approx(3.2)
    assert patience.before(1, 3600.0) == pytest.approx(30.2)
