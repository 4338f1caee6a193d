"""Whatever the bytes are that somebody else wrote, they are a value or one error."""

import msgspec
import pytest

from livecalc.domain.decoding import decode_json
from livecalc.domain.tasks import Statement, read_statement

NESTED = '{"state":"succeeded","x":' + "[" * 3800


def test_a_value_is_read_from_bytes_and_from_text() -> None:
    assert decode_json(b'{"state":"failed","x":[[1]]}', Statement) == Statement(state="failed")
    assert decode_json('{"state":"failed"}', Statement) == Statement(state="failed")


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[]", b'{"state":"\xff"}', '{"state":"\ud800"}', NESTED, NESTED.encode(), NESTED + "]" * 3800 + "}"],
)
def test_all_else_is_one_error(raw: bytes | str) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_json(raw, Statement)


def test_a_nested_message_is_no_statement() -> None:
    assert read_statement(NESTED) is None
