"""The audit record in pages, however long it is."""

import httpx
import pytest
from support.site import Site

from livecalc.client.http import Http
from livecalc.wire.diagnostics import AuditEntry

PATH = "/v1/platform/audit"


@pytest.fixture(scope="module")
def tenant(site: Site) -> str:
    """One with six records."""
    name = "pages"
    with site.caller(tenant=name) as caller:
        for number in range(3):
            caller.post("/v1/platform/namespaces", params={"bucket_id": f"audit-page-{number}"})
    return name


def test_links_lead_through_all_of_it(site: Site, tenant: str) -> None:
    with site.caller(tenant=tenant) as caller:
        found: list[list[int]] = []
        url = f"{PATH}?limit=4&since=2020-01-01T00:00:00Z"
        while url:
            answer = caller.get(url)
            assert answer.request.url.params["since"] == "2020-01-01T00:00:00Z"
            found.append([entry["sequence"] for entry in answer.json()])
            url = answer.links.get("next", {}).get("url", "")
            assert len(found) < 3
        assert found == [[6, 5, 4, 3], [2, 1]]
        assert "Link" not in caller.get(f"{PATH}?limit=6").headers
        assert caller.get(f"{PATH}?before=1").json() == []
        assert [entry["sequence"] for entry in caller.get(f"{PATH}?before=99&limit=1").json()] == [6]
        assert caller.get(f"{PATH}?before=0").status_code == 422


@pytest.mark.parametrize(("most", "pages"), [(1, 1), (2, 1), (3, 2), (6, 3), (99, 3)])
def test_the_client_reads_as_many_as_it_is_asked_for(site: Site, tenant: str, most: int, pages: int) -> None:
    asked: list[httpx.Request] = []
    with site.caller(tenant=tenant) as caller:
        caller.event_hooks["request"] = [asked.append]
        found = Http(caller, "test").get_pages(PATH, AuditEntry, most=most, limit=2)
    assert [entry.sequence for entry in found] == [6, 5, 4, 3, 2, 1][:most]
    assert len(asked) == pages


def test_more_are_asked_for_than_one_page_has(site: Site, tenant: str) -> None:
    with site.client(tenant=tenant) as client:
        assert len(client.audit(limit=50_000)) == 6
        assert [entry.sequence for entry in client.audit(limit=1)] == [6]
