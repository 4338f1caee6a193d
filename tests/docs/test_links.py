"""Links lead somewhere, every page can be found, and nothing points at a machine."""

import re
from pathlib import Path

import pytest
from docs.pages import DOCS, README, ROOT, all_pages, anchors, links, page_id

pages = pytest.mark.parametrize("page", all_pages(), ids=page_id)
ELSEWHERE = ("https://", "http://", "mailto:")
TEXTS = {".py", ".md", ".toml", ".txt", ".json", ".yaml", ".yml", ".csv", ""}


@pages
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in links(page):
        if link.startswith(ELSEWHERE):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        assert not anchor or anchor in anchors(target), f"{link} names no heading of {target.name}"


def test_every_page_can_be_reached_from_the_index() -> None:
    found: set[Path] = set()
    waiting = [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in found:
            continue
        found.add(page)
        paths = [link.partition("#")[0] for link in links(page) if not link.startswith(ELSEWHERE)]
        waiting += [(page.parent / path).resolve() for path in paths if path.endswith(".md")]
    assert set(DOCS.glob("*.md")) <= found
    assert set(ROOT.glob("*.md")) <= found


def test_the_readme_leads_to_every_page() -> None:
    targets = {(ROOT / link).resolve() for link in links(README) if not link.startswith(ELSEWHERE)}
    assert set(DOCS.glob("*.md")) | set(ROOT.glob("*.md")) - {README} <= targets


def test_nothing_refers_to_what_is_not_in_the_project() -> None:
    """Neither to a folder beside the project, nor to the machine on which somebody wrote it."""
    foreign = re.compile("|".join(["\\.\\./" + "shared", "/work" + "/", "/root" + "/", "/Users" + "/"]))
    folders = [ROOT / name for name in ("src", "tests", "bench", "docs", ".ci", "requirements")]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in TEXTS and path.is_file()]
    for path in [*files, *(each for each in ROOT.iterdir() if each.is_file() and each.suffix in TEXTS)]:
        found = foreign.search(path.read_text("utf-8", "replace"))
        assert found is None, f"{path.relative_to(ROOT)} has {found}"
