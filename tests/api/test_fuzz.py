"""Whatever is asked, by whomever: an answer that the documents know, never a failure of the server.

`check_documented` (support/site.py) holds every answer to the route table.
"""

import json
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livecalc.api.route import Route
from livecalc.api.routes import ROUTES

CALM = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
GUARDED = [route for route in ROUTES if not route.public]
NASTY = [
    *("..", ".", "", "a/../b", "%2e%2e", "\\", "\x00", "\n", "ü", "\u2028", "\U0001f4a3", "' OR 1=1 --", "<script>"),
    *("livecalc-bucket-", "livecalc-bucket-A", "livecalc-bucket-mttc-00000000000000000000", "kube-system", "default"),
    *("j-01jdx4m8k3q7", "j-", "20260101-000000", "20260101-000000-2", "0" * 64, "0" * 8, "x" * 300),
    *("null", "undefined", "-1", "true", "1e400", "nan"),
]
TEXT = st.one_of(st.sampled_from(NASTY), st.text(max_size=12))
PARTS = ("namespace", "job_id", "bucket_id", "timestamp", "path", "model_bundle_hash")
NAMES = sorted({name for route in ROUTES for name in route.query.__struct_fields__})
PAIRS = st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), TEXT), TEXT), max_size=4)


def fill(route: Route, parts: list[str]) -> str:
    path = route.template
    for name, part in zip(
        ("namespace", "job_id", "bucket_id", "timestamp", "path", "model_bundle_hash"), parts, strict=True
    ):
        path = path.replace(f"{{{name}}}", quote(part, safe=""))
    return path


@CALM
@given(route=st.sampled_from(GUARDED), parts=st.lists(TEXT, min_size=6, max_size=6), pairs=PAIRS)
def test_any_path_and_query(ana: httpx.Client, route: Route, parts: list[str], pairs: list[tuple[str, str]]) -> None:
    # As raw as it can be sent: httpx would straighten `..` out of a path that it is given as text.
    target = fill(route, parts) + "?" + urlencode(pairs, errors="replace")
    url = httpx.URL("http://livecalc.test").copy_with(raw_path=target.encode("ascii", "replace"))
    answer = ana.request(route.method, url)
    assert answer.status_code < 500, (route.method, target, answer.text)
    if not answer.is_success and answer.status_code != 304:
        detail = answer.json()["detail"]
        assert 0 < len(detail) < 1000
        assert "Traceback" not in detail


def test_a_path_that_ends_in_a_newline_is_another_path(ana: httpx.Client) -> None:
    for path in ("/v1/jobs%0A", "/v1/platform/diagnostics%0A"):
        answer = ana.get(httpx.URL("http://livecalc.test").copy_with(raw_path=path.encode()))
        assert answer.status_code == 404


JSON: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)


@CALM
@given(
    body=st.one_of(
        JSON, st.fixed_dictionaries({"bucket_id": JSON, "model_bundle_hash": JSON}, optional={"job_id": JSON})
    )
)
def test_any_json(ana: httpx.Client, body: Any) -> None:
    answer = ana.post("/v1/platform/mttc/verify", content=json.dumps(body))
    assert answer.status_code in {404, 422}, answer.text


FIELDS = ("bucket_id", "model_bundle_hash", "name", "labels", "partitions", "deadline_seconds", "retention", "x")


@CALM
@given(fields=st.lists(st.tuples(st.sampled_from(FIELDS), TEXT), max_size=6))
def test_any_form(ana: httpx.Client, fields: list[tuple[str, str]]) -> None:
    files: list[tuple[str, Any]] = [(name, (None, value.encode("utf-8", "replace"))) for name, value in fields]
    answer = ana.post("/v1/jobs/submit", files=files or {"x": (None, "y")})
    assert answer.status_code in {404, 422}, answer.text
