"""Values as people read them in a terminal: durations, sizes, numbers, hashes, moments. Pure."""

import re
import unicodedata
from datetime import UTC, datetime

from livecalc.domain.errors import InvalidInput
from livecalc.domain.timestamps import parse_timestamp

NONE = "-"
"""What stands where there is nothing."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", re.ASCII)
_HASH_DIGITS = 12
_SIGNIFICANT = 6


def duration(seconds: float) -> str:
    """A measured time: `0.41s`, `3.8s`, `1m05s`, `2h11m`, `3d04h`; cut off, never rounded up."""
    if seconds < 1:
        return f"{int(seconds * 100 + 1e-9) / 100:.2f}s"
    if seconds < _MINUTE:
        return f"{int(seconds * 10 + 1e-9) / 10:.1f}s"
    return age(seconds)


def age(seconds: float) -> str:
    """How long ago, in the two largest units: `45s`, `6m12s`, `26h04m`, `3d04h`; below zero is `0s`."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"


def parse_duration(text: str) -> float:
    """Read `90`, `90s`, `15m`, `1h30m`, `1.5h` or `3d04h` as seconds, or raise InvalidInput."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise InvalidInput(f"{text[:40]!r} is not a duration: write 90s, 15m, 1h30m or 2d")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return days * _DAY + hours * _HOUR + minutes * _MINUTE + seconds


def since(moment: str | None, now: datetime) -> str:
    """The age of a timestamp, or `-` when there is none."""
    parsed = parse_timestamp(moment) if moment else None
    return NONE if parsed is None else age((now - parsed).total_seconds())


def between(start: str | None, end: str | None) -> str:
    """The time from one timestamp to another, as exact as their whole seconds; `-` when one is missing."""
    first = parse_timestamp(start) if start else None
    last = parse_timestamp(end) if end else None
    if first is None or last is None:
        return NONE
    seconds = (last - first).total_seconds()
    return age(seconds) if seconds >= 1 else "<1s"


def moment(text: str | None) -> str:
    """A timestamp as `2026-01-25 01:00:02Z`; `-` when there is none."""
    return text.replace("T", " ") if text else NONE


def day(text: str | None) -> str:
    """The day of a timestamp, `2026-01-25`; `-` when there is none."""
    return text[:10] if text else NONE


def size(count: int) -> str:
    """Bytes: `812 B`, `412 KiB`, `3.4 MiB`; cut off, never rounded up."""
    unit = 0
    while count >> 10 * (unit + 1) and unit < len(_UNITS) - 1:
        unit += 1
    tenths = count * 10 >> 10 * unit
    digits = f"{tenths // 10}.{tenths % 10}" if unit and tenths < 100 else str(tenths // 10)  # noqa: PLR2004  (two digits)
    return f"{digits} {_UNITS[unit]}"


def number(value: float | None) -> str:
    """A figure with six significant digits at least: `68,094,679`, `8,132.41`, `0.0304711`; `-` when there is none."""
    if value is None:
        return NONE
    if value != value or value in {float("inf"), float("-inf")} or value == 0:  # noqa: PLR0124  (NaN)
        return str(value) if value else "0"
    if abs(value) < 1e-4:  # noqa: PLR2004  (where decimals become unreadable)
        return f"{value:.{_SIGNIFICANT - 1}e}"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    leading = 0 if whole else len(re.match(r"0\.(0*)", f"{abs(value):.12f}")[1])  # type: ignore[index]  (always matches)
    return f"{value:,.{max(0, _SIGNIFICANT - whole + leading)}f}"


def count(amount: int, noun: str, plural: str = "") -> str:
    """`1 pod`, `3 pods`, `1,000 scenarios`."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def short(digest: str | None) -> str:
    """The first 12 digits of a hash; `-` when there is none."""
    return digest[:_HASH_DIGITS] if digest else NONE


def plain(text: str) -> str:
    """Text of other people's making on one line, without control characters that could drive the terminal."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in {"Cc", "Cf"} else char for char in text)


def width(text: str) -> int:
    """How many columns a text takes in a terminal."""
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def utc_now() -> datetime:
    """This machine's clock; ages in tables are measured by it."""
    return datetime.now(UTC)
