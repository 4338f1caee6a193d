"""Events are read however they are cut, and over as many connections as it takes."""

from collections.abc import Callable, Iterator, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wire import make_job

from livecalc.client.events import follow, read_events
from livecalc.domain.errors import NotFound, Unavailable
from livecalc.wire.jobs import Job


def event(value: Job) -> bytes:
    return b"event: job\ndata: " + msgspec.json.encode(value) + b"\n\n"


def connections(*scripts: Sequence[bytes | Exception]) -> Callable[[], Iterator[bytes]]:
    left = iter(scripts)

    def play(script: Sequence[bytes | Exception]) -> Iterator[bytes]:
        for each in script:
            if isinstance(each, Exception):
                raise each
            yield each

    return lambda: play(next(left))


@given(data=st.data(), names=st.lists(st.text(max_size=20), max_size=4))
def test_any_cut_reads_the_same(data: st.DataObject, names: list[str]) -> None:
    jobs = [make_job(done=number, name=name) for number, name in enumerate(names)]
    raw = b": hello\n\n" + b": keep-alive\n\n".join(map(event, jobs)) + b"event: other\ndata: {}\n\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=10)))
    pieces = (raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True))
    assert list(read_events(pieces)) == jobs


def test_an_event_that_is_no_make_job() -> None:
    with pytest.raises(Unavailable):
        list(read_events(iter([b"data: {}\n\n"])))


def test_a_connection_that_breaks_is_made_anew() -> None:
    pauses: list[float] = []
    connect = connections(
        [event(make_job("pending")), event(make_job(done=1)), Unavailable("broke off")],
        [Unavailable("cannot be reached")],
        [event(make_job(done=1))],
        [event(make_job(done=5)), event(make_job("succeeded", 10)), AssertionError("read on behind the end")],
    )
    seen = [(each.state, each.scenarios.done) for each in follow(connect, pause=pauses.append)]
    assert seen == [("pending", 0), ("running", 1), ("running", 5), ("succeeded", 10)]
    assert len(pauses) == 3


def test_an_error_of_the_job_is_not_tried_again() -> None:
    with pytest.raises(NotFound):
        list(follow(connections([NotFound("there is no such job")]), pause=lambda _: None))


def test_it_gives_up_in_the_end() -> None:
    pauses: list[float] = []
    with pytest.raises(Unavailable, match="cannot be reached"):
        list(follow(connections(*[[Unavailable("cannot be reached")]] * 50), pause=pauses.append))
    assert pauses == sorted(pauses)
    assert 30 < sum(pauses) < 120
    with pytest.raises(Unavailable, match="again and again"):
        list(follow(connections(*[[b": hello\n\n"]] * 50), pause=lambda _: None))
