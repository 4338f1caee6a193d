"""A clock that a test moves."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 25, 1, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **parts: float) -> None:
        self.time += timedelta(**parts)
