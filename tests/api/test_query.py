"""Query parameters: good ones are read, every other is one clear sentence, and nothing is ever guessed."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecalc.api.endpoints.jobs import JobsQuery
from livecalc.api.endpoints.namespaces import CreateQuery, ListQuery
from livecalc.api.query import read_query
from livecalc.api.routes import ROUTES
from livecalc.domain.errors import InvalidInput
from livecalc.domain.jobs import JobState


def test_every_kind_is_read() -> None:
    raw = b"bucket_id=b1&state=failed&label=a%3D1&label=b%3D2&since=2026-01-25T01:00:00Z&limit=7"
    assert read_query(JobsQuery, raw) == JobsQuery(
        bucket_id="b1",
        state=JobState.FAILED,
        label=["a=1", "b=2"],
        since=datetime(2026, 1, 25, 1, tzinfo=UTC),
        limit=7,
    )
    assert read_query(ListQuery, b"recomputations=true").recomputations
    assert not read_query(ListQuery, b"recomputations=false").recomputations


def test_defaults() -> None:
    assert read_query(JobsQuery, b"") == JobsQuery()


def test_null_is_a_text() -> None:
    assert read_query(JobsQuery, b"bucket_id=null").bucket_id == "null"


@pytest.mark.parametrize(
    ("kind", "raw", "sentence"),
    [
        (ListQuery, "limit=0", "query parameter limit='0' is not valid: use a whole number from 1 to 1000"),
        (ListQuery, "limit=1001", "query parameter limit='1001' is not valid: use a whole number from 1 to 1000"),
        (ListQuery, "limit=1.5", "query parameter limit='1.5' is not valid: use a whole number from 1 to 1000"),
        (ListQuery, "limit=", "query parameter limit='' is not valid: use a whole number from 1 to 1000"),
        (ListQuery, "limit=1&limit=2", "query parameter limit is given 2 times: give it once"),
        (ListQuery, "recomputations=yes", "query parameter recomputations='yes' is not valid: use true or false"),
        (
            ListQuery,
            "limt=1",
            "query parameter 'limt' is unknown to this endpoint: it takes limit, after, recomputations",
        ),
        (CreateQuery, "", "query parameter bucket_id is missing"),
        (
            CreateQuery,
            "bucket_id=a&retention=ever",
            "query parameter retention='ever' is not valid: use one of standard, regulatory",
        ),
        (
            JobsQuery,
            "since=yesterday",
            "query parameter since='yesterday' is not valid: use a time such as 2026-01-25T01:00:00Z",
        ),
        (JobsQuery, "since=5", "query parameter since='5' is not valid: use a time such as 2026-01-25T01:00:00Z"),
        (
            JobsQuery,
            "since=2026-01-25T01:00:00",
            "query parameter since='2026-01-25T01:00:00' is not valid: use a time such as 2026-01-25T01:00:00Z",
        ),
        (JobsQuery, "bucket_id=%ff", "the query is not valid: use percent-encoded UTF-8, and not too many parameters"),
        (
            JobsQuery,
            "&".join(["label=a"] * 101),
            "the query is not valid: use percent-encoded UTF-8, and not too many parameters",
        ),
    ],
)
def test_what_is_refused(kind: Any, raw: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_query(kind, raw.encode())
    assert caught.value.detail == sentence


QUERIES = sorted({route.query for route in ROUTES if not route.public}, key=lambda query: query.__name__)
NAMES = sorted({name for query in QUERIES for name in query.__struct_fields__})
VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["1", "100", "true", "false", "standard", "failed", "2026-01-25T01:00:00Z", "null", "-1", "1_0", "٣"]
    ),
)


@given(
    query=st.sampled_from(QUERIES),
    pairs=st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), st.text(max_size=8)), VALUES), max_size=5),
)
def test_any_pairs_are_read_or_refused(query: Any, pairs: list[tuple[str, str]]) -> None:
    raw = urlencode(pairs, errors="surrogatepass").encode()
    read, refused = attempt(query, raw)
    if refused:
        assert refused.startswith(("query parameter", "the query"))
        assert refused.isprintable()
        return
    for name, value in pairs:
        got = getattr(read, name)
        if isinstance(got, str) and not isinstance(got, JobState):
            assert got == value
        if isinstance(got, int) and not isinstance(got, bool):
            assert float(value) == got


def attempt(query: Any, raw: bytes) -> tuple[Any, str]:
    try:
        return read_query(query, raw), ""
    except InvalidInput as error:
        return None, error.detail


@given(raw=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for query in QUERIES:
        read, refused = attempt(query, raw)
        assert isinstance(read, query) != bool(refused)


@given(text=st.text(max_size=40).filter(lambda text: text.isprintable()))
def test_texts_arrive_as_they_were_sent(text: str) -> None:
    raw = f"bucket_id={quote(text, safe='')}".encode()
    assert read_query(CreateQuery, raw).bucket_id == text
