"""The log's two places hold the same bytes, whatever is printed and whatever becomes of either."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecalc.worker.log import LogCopy


@pytest.fixture
def stdout(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "stdout", os.O_CREAT | os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def test_lines_of_our_own_begin_on_a_line_of_their_own(tmp_path: Path, stdout: int) -> None:
    log = LogCopy(tmp_path / "log", limit=1000, stdout=stdout)
    log.say("begins\nhere")
    log.pass_on(b"printed")
    log.pass_on(b" on\n")
    log.say("one")
    log.pass_on(b"no newline")
    log.say("two \udcff")
    log.close()
    text = b"livecalc: begins here\nprinted on\nlivecalc: one\nno newline\nlivecalc: two \\udcff\n"
    assert (tmp_path / "log").read_bytes() == (tmp_path / "stdout").read_bytes() == text
    assert (log.size, log.sha256) == (len(text), hashlib.sha256(text).hexdigest())


@given(st.lists(st.binary(max_size=30), max_size=12), st.integers(0, 80))
def test_both_places_are_alike_and_the_limit_holds(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], limit: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    descriptor = os.open(folder / "stdout", os.O_CREAT | os.O_RDWR)
    log = LogCopy(folder / "log", limit=limit, stdout=descriptor)
    for chunk in chunks:
        log.pass_on(chunk)
    log.close()
    os.close(descriptor)
    copy = (folder / "log").read_bytes()
    printed = b"".join(chunks)
    assert copy == (folder / "stdout").read_bytes()
    assert log.truncated == (len(printed) > limit)
    assert (log.size, log.sha256) == (len(copy), hashlib.sha256(copy).hexdigest())
    assert copy.startswith(printed[:limit])
    if log.truncated:
        assert copy.splitlines()[-1].startswith(b"livecalc: the log was cut: the model printed ")
        assert copy.count(b"livecalc: the log is cut here") == 1
    else:
        assert copy == printed


def test_a_log_exactly_at_its_limit_is_whole(tmp_path: Path, stdout: int) -> None:
    log = LogCopy(tmp_path / "log", limit=4, stdout=stdout)
    log.pass_on(b"four")
    log.pass_on(b"")
    log.close()
    assert not log.truncated
    assert (tmp_path / "log").read_bytes() == b"four"


def test_the_copy_goes_on_when_nobody_reads(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    log = LogCopy(tmp_path / "log", limit=100, stdout=writer)
    log.pass_on(b"one\n")
    log.pass_on(b"two\n")
    log.close()
    os.close(writer)
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_a_copy_gives_way_down_to_nothing(tmp_path: Path, stdout: int) -> None:
    log = LogCopy(tmp_path / "log", limit=1000, stdout=stdout)
    log.pass_on(b"0123456789abcdef")
    given = [log.give_way("full") for _ in range(7)]
    assert given == [True] * 5 + [False] * 2
    log.pass_on(b" and more")
    log.close()
    said = b"livecalc: the copy of the log ends here: full\n"
    assert (tmp_path / "log").read_bytes() == said
    assert (tmp_path / "stdout").read_bytes() == b"0123456789abcdef and more"
    assert (log.truncated, log.refused) == (True, "full")
    assert (log.size, log.sha256) == (len(said), hashlib.sha256(said).hexdigest())
