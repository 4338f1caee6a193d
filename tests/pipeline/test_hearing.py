"""What a model itself may write on the control pipe, which is in its own process."""

import pytest

from livecalc.pipeline.hearing import Hearing


@pytest.mark.parametrize("line", [b"{", b'{"type":"\xff"}', b'{"type":"loading","x":' + b"[" * 5000])
def test_a_line_that_is_no_message_is_dropped(line: bytes) -> None:
    done: list[int] = []
    hearing = Hearing(done.append)
    hearing.feed(line + b'\n{"type":"progress","done":3}\n{"type":"ended","status":0}\n')
    assert (done, hearing.ended) == ([3], True)
