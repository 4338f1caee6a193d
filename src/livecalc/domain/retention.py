"""How long an archive is kept, chosen when its bucket's namespace is made."""

from datetime import datetime, timedelta
from enum import StrEnum


class Retention(StrEnum):
    """The retention classes; their length counts from when archiving began, which is in the archive's path."""

    STANDARD = "standard"
    REGULATORY = "regulatory"


_STANDARD_DAYS = 30
_REGULATORY_YEARS = 7


def retain_until(retention: Retention, began_at: datetime) -> datetime:
    """Tell when an archive may be deleted; seven years end on the same calendar day (28 February for the 29th)."""
    if retention is Retention.STANDARD:
        return began_at + timedelta(days=_STANDARD_DAYS)
    year = began_at.year + _REGULATORY_YEARS
    try:
        return began_at.replace(year=year)
    except ValueError:
        return began_at.replace(year=year, day=28)
