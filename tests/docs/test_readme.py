"""The README: two commands to begin, and the demo as it really is."""

import re
from pathlib import Path

from docs.pages import README, ROOT, fences, paths_of_a_home
from docs.transcript import Copies, Session, Shown, check, read_console, reader_environment

SCREEN = 100
"""Lines; some rulers and margins above what a tall window shows."""


def test_two_commands_to_begin() -> None:
    (start,) = [fence.body for fence in fences(README) if fence.language == "sh"]
    assert [line.partition("#")[0].strip() for line in start.splitlines()] == ["make demo", "make test"]
    assert "livecalc demo" in re.split(r"^demo:.*$", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)[1]


def test_it_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= SCREEN


def test_the_demo_prints_what_is_shown(tmp_path: Path) -> None:
    (block,) = [fence.body for fence in fences(README) if fence.language == "console"]
    (demo,) = read_console(block)
    assert demo.command == "make demo"
    numbers = [line[:3] for line in demo.output if re.match(r"\d/\d ", line)]
    assert numbers == [f"{number}/7" for number in range(1, 8)], "every step is shown"
    with Session(tmp_path, reader_environment(tmp_path)) as session:
        check(session, Copies(), Shown("livecalc demo", demo.output))


def test_a_home_is_laid_out_as_the_page_says(tmp_path: Path) -> None:
    with Session(tmp_path, reader_environment(tmp_path)) as session:
        check(session, Copies(), Shown("livecalc submit term-life --bucket b1 --partitions 1 --wait", ()))
    home = tmp_path / ".livecalc"
    named = paths_of_a_home()
    assert len(named) > 10
    assert [name for name in sorted(named) if not (home / name).exists()] == []
    assert {each.name for each in home.iterdir()} == {name.partition("/")[0] for name in named}
    assert home.stat().st_mode & 0o077 == 0
