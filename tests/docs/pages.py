"""The documentation as tests read it: pages, their fenced blocks, code spans, links and headings."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


class Fence(NamedTuple):
    """A fenced block: its language, its text, and the line of the page that it begins after."""

    language: str
    body: str
    line: int


def all_pages() -> list[Path]:
    """Every page of the project: those at the root, those in `docs/`, and those of the packaged examples."""
    return sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *(ROOT / "src/livecalc/examples").rglob("*.md")])


def page_id(page: Path) -> str:
    """Name a page in a test's id."""
    return str(page.relative_to(ROOT))


def fences(page: Path) -> list[Fence]:
    """The fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [Fence(match[1], match[2], text.count("\n", 0, match.start()) + 1) for match in _FENCE.finditer(text)]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def spans(page: Path) -> list[str]:
    """The code spans of a page's prose, each on one line."""
    return [" ".join(match[1].split()) for match in _SPAN.finditer(prose(page))]


def links(page: Path) -> list[str]:
    """The targets of a page's links, those within the page too."""
    return _LINK.findall(_SPAN.sub("", prose(page)))


def anchors(page: Path) -> set[str]:
    """The names that links can give to a page's headings, made as GitHub makes them."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(page)):
        plain = _LINK.sub(lambda link: link[0][1:].partition("]")[0], heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = 0
        while (anchor := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(anchor)
    return found


def paths_of_a_home() -> set[str]:
    """What the page on architecture says lies under LIVECALC_HOME, but for names that are made up as they come."""
    text = (DOCS / "architecture.md").read_text("utf-8")
    table = text.partition("Under `LIVECALC_HOME`:\n\n")[2].partition("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines()]
    named = {name for cell in first_cells for name in _SPAN.findall(cell) if "{" not in name}
    return named | {f"{name.partition('/')[0]}/" for name in named if "/" in name}
