"""Memory sentinel violations as pods state them: `offset:1234,expected:0xABCD,actual:0x1234`, joined by `;`."""

import re

from msgspec import Struct

ANNOTATION = "memory-sentinel-violations"
_VIOLATION = re.compile(r"offset:(-?\d{1,20}),expected:0x([0-9A-Fa-f]{1,64}),actual:0x([0-9A-Fa-f]{1,64})", re.ASCII)


class Violation(Struct, frozen=True):
    """A canary that was overwritten, or an input that was changed; bytes in hex."""

    offset: int
    """Of the first differing byte, from the first of the buffer: negative before it, its size and more past its end."""
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"offset:{self.offset},expected:0x{self.expected},actual:0x{self.actual}"


def format_violations(violations: list[Violation]) -> str:
    """Join violations as the pod's annotation holds them."""
    return ";".join(map(str, violations))


def parse_violations(text: str) -> tuple[list[Violation], list[str]]:
    """Split an annotation into its violations and the parts that are none; no part is dropped."""
    violations: list[Violation] = []
    malformed: list[str] = []
    for part in text.split(";") if text else []:
        match = _VIOLATION.fullmatch(part)
        if match is None:
            malformed.append(part)
        else:
            violations.append(Violation(int(match[1]), match[2], match[3]))
    return violations, malformed
