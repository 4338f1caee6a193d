"""Tables as `kubectl` and `gh` print them: uppercase headers, aligned columns, no borders, no tabs. Pure."""

from collections.abc import Iterable, Sequence

from livecalc.cli.format import plain, width

_GAP = "  "


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()) -> str:
    """Align rows under their headers; columns named in `right` are aligned to the right. No newline at the end."""
    cells = [list(headers), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(headers))]
    flush_right = {headers.index(name) for name in right}
    return "\n".join(_line(row, widths, flush_right) for row in cells)


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Align `Name  value` lines; a value of several lines is indented under its first. Empty values are left out."""
    kept = [(name, value) for name, value in pairs if value]
    indent = max((width(name) for name, _ in kept), default=0) + len(_GAP)
    lines: list[str] = []
    for name, value in kept:
        first, *others = value.splitlines()
        lines.append(_pad(name, indent) + plain(first))
        lines += [" " * indent + plain(other) for other in others]
    return "\n".join(lines)


def _line(row: Sequence[str], widths: Sequence[int], right: set[int]) -> str:
    cells = (
        " " * (space - width(cell)) + cell if column in right else _pad(cell, space)
        for column, (cell, space) in enumerate(zip(row, widths, strict=True))
    )
    return _GAP.join(cells).rstrip()


def _pad(text: str, space: int) -> str:
    return text + " " * (space - width(text))
