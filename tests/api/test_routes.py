"""The table, what is made from it, and the reference that people read."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from support.site import Site

from livecalc.api.openapi import document
from livecalc.api.route import NoQuery
from livecalc.api.routes import ROUTES
from livecalc.domain.errors import LivecalcError
from livecalc.wire.problems import problem_type

REFERENCE = Path(__file__).parents[2] / "docs" / "http.md"
HEADING = re.compile(r"^### `(GET|POST|DELETE) (\S+)`$", re.MULTILINE)


def test_no_endpoint_is_there_twice() -> None:
    keys = [(route.method, route.path) for route in ROUTES]
    assert len(keys) == len(set(keys))
    names = [route.endpoint.__name__ for route in ROUTES]
    assert len(names) == len(set(names))


def test_methods_of_a_path_stand_together() -> None:
    paths = [route.path for route in ROUTES]
    assert len([path for path, before in zip(paths, [None, *paths], strict=False) if path != before]) == len(set(paths))


def test_public_are_exactly_these() -> None:
    public = {route.path for route in ROUTES if route.public}
    assert public == {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/.well-known/jwks.json"}


def test_the_reference_has_every_endpoint_and_no_other() -> None:
    text = REFERENCE.read_text()
    assert sorted(HEADING.findall(text)) == sorted((route.method, route.template) for route in ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_the_reference_tells_all_of_an_endpoint(route: object) -> None:
    assert isinstance(route, type(ROUTES[0]))
    text = REFERENCE.read_text()
    heading = f"### `{route.method} {route.template}`\n"
    section = re.split(r"^##+ ", text.split(heading)[1], maxsplit=1, flags=re.MULTILINE)[0]
    assert "```" in section, "an example"
    for name in route.query.__struct_fields__:
        assert f"`{name}`" in section, name
    for status in [*route.answers, *route.problems]:
        assert str(status) in section, status


def test_the_reference_explains_every_problem() -> None:
    text = REFERENCE.read_text()
    kinds = {problem_type(error) for error in _tree(LivecalcError)} - {"/docs#problem-model-failed"}
    assert {kind for kind in kinds if f"`{kind}`" not in text} == set()


def test_the_document_is_what_the_table_says() -> None:
    made = document(ROUTES)
    assert json.loads(json.dumps(made)) == made
    assert made["openapi"] == "3.1.0"
    operations = {(method.upper(), path): each for path, item in made["paths"].items() for method, each in item.items()}
    assert set(operations) == {(route.method, route.template) for route in ROUTES}
    for route in ROUTES:
        operation = operations[route.method, route.template]
        assert {p["name"] for p in operation["parameters"] if p["in"] == "query"} == set(route.query.__struct_fields__)
        assert {p["name"] for p in operation["parameters"] if p["in"] == "path"} == set(
            re.findall(r"\{(\w+)\}", route.template)
        )
        assert (operation.get("security") == []) == route.public
        assert set(map(str, route.answers)) <= set(operation["responses"])
        assert ("401" in operation["responses"]) != route.public
        if route.query is NoQuery:
            assert not [p for p in operation["parameters"] if p["in"] == "query"]


def test_every_reference_resolves() -> None:
    made = document(ROUTES)
    named = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(made)))
    assert named <= set(made["components"]["schemas"])
    assert {"Job", "Namespace", "Problem", "Submitted"} <= named


def test_both_documents_are_served(site: Site) -> None:
    assert site.http.get("/openapi.json").json() == document(ROUTES)
    page = site.http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    reader = _Page()
    reader.feed(page.text)
    assert reader.links - {"/openapi.json"} <= {f"#{anchor}" for anchor in reader.anchors}
    assert {problem_type(error).partition("#")[2] for error in _tree(LivecalcError)} - reader.anchors == {
        "problem-model-failed"
    }
    for route in ROUTES:
        assert route.template in page.text


def test_the_page_fetches_nothing(site: Site) -> None:
    page = site.http.get("/docs").text
    assert "<script" not in page
    assert "src=" not in page
    assert "http" not in re.sub(r"[Hh]ttp(s)?[ _]?[Rr]esp", "", page.split("<body>")[0])


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if anchor := values.get("id"):
            assert anchor not in self.anchors
            self.anchors.add(anchor)
        if tag == "a" and (link := values.get("href")):
            self.links.add(link)


def _tree(error: type[LivecalcError]) -> set[type[LivecalcError]]:
    return {error}.union(*map(_tree, error.__subclasses__()))


def test_unknown_paths_and_methods(ana: httpx.Client) -> None:
    nothing = ana.get("/v1/nothing/here")
    assert (nothing.status_code, nothing.json()["detail"]) == (
        404,
        "there is nothing at /v1/nothing/here: /docs lists what there is",
    )
    wrong = ana.delete("/v1/platform/namespaces")
    assert wrong.status_code == 405
    assert {each.strip() for each in wrong.headers["allow"].split(",")} == {"GET", "HEAD", "POST"}
    assert wrong.json()["detail"] == "/v1/platform/namespaces does not take DELETE"
    assert ana.get("/v1/jobs/").status_code == 404
    assert ana.get("/v1/platform/diagnostics/nothing").status_code == 404
