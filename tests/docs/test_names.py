"""What the docs name is there: settings, endpoints, files, layers, operations; and the figures are the code's."""

import re
import tomllib
from pathlib import Path

import pytest
from docs.pages import DOCS, ROOT, all_pages, fences, page_id, paths_of_a_home, prose, spans
from starlette.routing import compile_path

from livecalc.api.routes import ROUTES

PACKAGE = ROOT / "src" / "livecalc"
ARCHITECTURE = DOCS / "architecture.md"
VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
ENDPOINT = re.compile(
    r"(?:(GET|POST|HEAD|DELETE) )?(/(?:v1|healthz|readyz|metrics|openapi|docs|\.well-known)[\w/{}.:-]*)"
)
REQUEST = re.compile(r"(?:\$LIVECALC_URL|http://127\.0\.0\.1:\d+)(/[^\s\"'?;]*)")
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)+/?|[\w.-]+/", re.ASCII)
pages = pytest.mark.parametrize("page", all_pages(), ids=page_id)


def sources() -> str:
    return "\n".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))


@pages
def test_every_variable_is_one_that_the_code_knows(page: Path) -> None:
    known = set(VARIABLE.findall(sources()))
    assert {name for span in spans(page) for name in VARIABLE.findall(span)} - known == set()


@pages
def test_every_endpoint_is_in_the_route_table(page: Path) -> None:
    templates = {(route.method, route.template) for route in ROUTES}
    paths = {template for _, template in templates}
    for span in spans(page):
        match = ENDPOINT.fullmatch(span)
        if match is None:
            continue
        method, path = match.groups()
        assert path in paths, span
        assert method is None or (method, path) in templates, span


@pages
def test_every_address_of_a_request_reaches_an_endpoint(page: Path) -> None:
    patterns = [compile_path(route.path)[0] for route in ROUTES]
    for fence in fences(page):
        for path in REQUEST.findall(fence.body):
            assert any(pattern.match(path) for pattern in patterns), path


@pages
def test_every_file_and_folder_that_is_named_exists(page: Path) -> None:
    """A path begins at the root, at the page, or in the package; those of a home are looked for in one elsewhere."""
    for span in spans(page):
        if PATH.fullmatch(span) is None or span in paths_of_a_home():
            continue
        first = span.partition("/")[0]
        if (ROOT / first).is_dir() or (PACKAGE / first).is_dir():
            assert any((base / span).exists() for base in (ROOT, PACKAGE, page.parent)), span


def test_the_picture_of_the_layers_is_the_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (contract,) = [each for each in project["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    picture = next(fence for fence in fences(ARCHITECTURE) if fence.language == "text")
    drawn = [re.split(" {2,}", line)[0] for line in picture.body.splitlines()]
    assert drawn == contract["layers"]


def test_the_page_for_auditors_has_every_operation() -> None:
    written = set(re.findall(r'operation="([a-z-]+)"', sources()))
    written |= set(
        re.findall(r'^[A-Z_]+ = "([a-z-]+)"$', (PACKAGE / "lifecycle/journal.py").read_text("utf-8"), re.MULTILINE)
    )
    told = re.findall(r"^\| `([a-z-]+)` \|", (DOCS / "audit.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(told) == sorted(written)


def test_the_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in all_pages():
        shown = "\n".join([*spans(page), *(fence.body for fence in fences(page) if fence.language in {"sh", "bash"})])
        named = set(re.findall(r"^make ([a-z-]+)", shown, re.MULTILINE))
        assert named <= targets, page


def test_prose_says_nothing_that_no_page_should() -> None:
    for page in all_pages():
        found = re.search(r"\bTODO\b|\bFIXME\b|\bTBD\b|lorem ipsum", prose(page), re.IGNORECASE)
        assert found is None, f"{page}: {found}"
