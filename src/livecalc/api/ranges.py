"""Byte ranges of a blob (RFC 9110, 14): one range is served, several are answered with the whole."""

import re

from livecalc.api.problems import Refusal

_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)


def read_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return (first, stop) of the range that is asked for, or None for the whole.

    Raises Refusal (416) for a range that lies behind the end. What is no single range of bytes is ignored, as the
    RFC has it.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        first, stop = max(0, size - int(match[2])), size
    else:
        first = int(match[1])
        stop = min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < first:
            return None
    if first >= size or first == stop:
        detail = f"the blob has {size} bytes: the range {header} lies outside"
        raise Refusal(416, detail, {"Content-Range": f"bytes */{size}"})
    return first, stop
