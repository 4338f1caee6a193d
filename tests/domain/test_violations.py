"""Sentinel violations as an annotation: what is written is read, and what is not one is kept as it came."""

from hypothesis import given
from hypothesis import strategies as st

from livecalc.domain.violations import Violation, format_violations, parse_violations

HEX = st.text("0123456789abcdefABCDEF", min_size=1, max_size=64)
VIOLATIONS = st.builds(Violation, st.integers(-(10**19), 10**19), HEX, HEX)


@given(st.lists(VIOLATIONS, max_size=8))
def test_what_is_written_is_read_back(violations: list[Violation]) -> None:
    assert parse_violations(format_violations(violations)) == (violations, [])


@given(st.text(max_size=200))
def test_no_part_is_dropped(text: str) -> None:
    violations, malformed = parse_violations(text)
    assert len(violations) + len(malformed) == (len(text.split(";")) if text else 0)
    assert all(part in text for part in malformed)


def test_as_the_contract_writes_them() -> None:
    violations, malformed = parse_violations("offset:1234,expected:0xABCD,actual:0x1234;offset:1,expected:0xZ,actual:")
    assert violations == [Violation(1234, "ABCD", "1234")]
    assert malformed == ["offset:1,expected:0xZ,actual:"]
