"""A long wait says what it waits for; one in which something comes says nothing."""

import re

import pytest
from support.processes import until

from livecalc.cli.silence import waiting_for


def said(capsys: pytest.CaptureFixture[str], so_far: list[str]) -> list[str]:
    so_far += capsys.readouterr().err.splitlines()
    return so_far


def test_a_wait_says_again_and_again_what_it_waits_for(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    with waiting_for("archive q4", first=0.01, following=0.02):
        until(lambda: len(said(capsys, lines)) >= 3)
    assert all(
        re.fullmatch(r"Waiting for archive q4: nothing has come for \d+ s; Ctrl-C ends the wait", line)
        for line in lines
    )


def test_a_wait_in_which_something_comes_begins_anew(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    with waiting_for("it", first=0.5, following=60) as stir:
        until(lambda: said(capsys, lines))
        # It would be quiet for a minute, had nothing come.
        stir()
        until(lambda: len(said(capsys, lines)) == 2)
    assert len(set(lines)) == 1


def test_a_short_wait_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting_for("it") as stir:
        stir()
    assert capsys.readouterr().err == ""
