"""Bucket ids and their namespaces' names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecalc.domain.buckets import check_bucket_id, is_bucket_id, is_recompute, namespace_name
from livecalc.domain.errors import InvalidInput

GOOD = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,45}[a-z0-9])?", fullmatch=True)


@given(GOOD)
def test_good_ids_are_names_of_namespaces(bucket_id: str) -> None:
    assert is_bucket_id(bucket_id)
    name = namespace_name(bucket_id)
    assert len(name) <= 63
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    if not is_recompute(bucket_id):
        assert check_bucket_id(bucket_id) == bucket_id


@given(st.text(max_size=80))
def test_what_is_accepted_is_what_was_given(text: str) -> None:
    label = re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", text, re.ASCII)
    if label and len(text) <= 47 and not text.startswith("mttc-"):
        assert check_bucket_id(text) == text
    else:
        with pytest.raises(InvalidInput, match="is not valid"):
            check_bucket_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "-", "-a", "a-", "A", "a b", "a_b", "a.b", "a/b", "..", "a" * 48, "é", "\N{FULLWIDTH LATIN SMALL LETTER A}",
     "\N{ARABIC-INDIC DIGIT ONE}", "a\n", "a\x00", "mttc-0123456789abcdef0123"],
)  # fmt: skip
def test_nasty_ids_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        check_bucket_id(text)


@pytest.mark.parametrize("text", ["a", "0", "a" * 47, "q4-2025", "a--b", "mttc", "mttcx-1"])
def test_good_ids_are_taken(text: str) -> None:
    assert check_bucket_id(text) == text
