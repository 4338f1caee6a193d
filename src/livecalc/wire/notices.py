"""What was left out of an answer, and why: one `Warning` header for each sentence, as Kubernetes has them."""

import re

HEADER = "warning"
_CODE = "299 livecalc "
_SHAPE = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"', re.ASCII)
_LONGEST = 600
_MOST = 20


def write_notices(sentences: list[str]) -> list[str]:
    """Write the headers' values; many become the first few and how many more there are."""
    shown = sentences[:_MOST]
    if len(sentences) > _MOST:
        shown.append(f"and {len(sentences) - _MOST} more notices like these")
    return [_CODE + _quote(sentence) for sentence in shown]


def read_notice(value: str) -> str | None:
    """Read what `write_notices` wrote; None for a warning of other people's making."""
    match = _SHAPE.fullmatch(value)
    return None if match is None else re.sub(r"\\(.)", r"\1", match[1])


def _quote(sentence: str) -> str:
    plain = "".join(char if char.isascii() and char.isprintable() else "?" for char in sentence[:_LONGEST])
    return '"' + plain.replace("\\", r"\\").replace('"', r"\"") + '"'
