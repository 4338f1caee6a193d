"""The termination message fits into what a cluster keeps."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from livecalc.domain.tasks import Statement
from livecalc.worker.statement import encode_statement


@given(st.text(max_size=50), st.integers(1, 3000))
def test_a_statement_fits_whatever_its_error(text: str, times: int) -> None:
    statement = Statement(state="failed", error=text * times, log_sha256="a" * 64, log_bytes=1 << 60)
    content = encode_statement(statement)
    assert len(content) <= 4096
    found = msgspec.json.decode(content, type=Statement)
    assert found.log_sha256 == "a" * 64
    if found.error != statement.error:
        assert len(content) > 3000
        assert (found.error or "").endswith(" ... (cut)")
        assert (statement.error or "").startswith((found.error or "").removesuffix(" ... (cut)"))


def test_control_characters_are_counted_as_they_are_written() -> None:
    content = encode_statement(Statement(state="failed", error="\x00" * 5000))
    assert 4000 < len(content) <= 4096
