"""Byte ranges and `Accept`, as RFC 9110 has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecalc.api.accept import negotiate
from livecalc.api.problems import Refusal
from livecalc.api.ranges import read_range
from livecalc.wire import media

OFFERS = list(media.RESULT_FORMATS.values())


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 6)),
        ("bytes=2-", (2, 10)),
        ("bytes=2-999", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=5-2", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("bytes=a-b", None),
        ("items=0-1", None),
        ("bytes=٣-", None),
        ("bytes=" + "9" * 40 + "-", None),
    ],
)
def test_ranges_of_ten_bytes(header: str | None, expected: tuple[int, int] | None) -> None:
    assert read_range(header, 10) == expected


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=99-100", 10), ("bytes=0-", 0), ("bytes=-0", 5)]
)
def test_ranges_outside(header: str, size: int) -> None:
    with pytest.raises(Refusal) as caught:
        read_range(header, size)
    assert caught.value.status == 416
    assert caught.value.headers == {"Content-Range": f"bytes */{size}"}


@given(header=st.from_regex(r"bytes=\d{0,3}-\d{0,3}", fullmatch=True), size=st.integers(0, 200))
def test_a_range_lies_inside(header: str, size: int) -> None:
    try:
        found = read_range(header, size)
    except Refusal:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", media.JSON),
        ("*/*", media.JSON),
        ("application/*", media.JSON),
        ("text/csv", media.CSV),
        ("text/*", media.CSV),
        ("TEXT/CSV", media.CSV),
        (media.ARROW, media.ARROW),
        (f"{media.JSON};q=0.5, {media.PARQUET}", media.PARQUET),
        (f"{media.JSON};q=0, */*;q=0.1", media.ARROW),
        (f"text/html, {media.CSV};q=0.9, */*;q=0.8", media.CSV),
        (f"{media.CSV};q=nonsense, {media.PARQUET};q=0.1", media.PARQUET),
    ],
)
def test_negotiation(accept: str, expected: str) -> None:
    assert negotiate(accept, OFFERS) == expected


@pytest.mark.parametrize("accept", ["text/html", "image/*", f"{media.JSON};q=0"])
def test_nothing_that_is_wanted(accept: str) -> None:
    with pytest.raises(Refusal, match="asks for none of"):
        negotiate(accept, OFFERS)


@given(accept=st.text(max_size=60))
def test_any_accept_is_answered(accept: str) -> None:
    try:
        found = negotiate(accept, OFFERS)
    except Refusal:
        return
    assert found in OFFERS
