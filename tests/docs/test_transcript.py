"""The rule by which shown output is held beside printed output: what it lets pass, and what it does not."""

from pathlib import Path

import pytest
from docs.transcript import Copies, Session, Shown, check, read_console, reader_environment
from support.processes import until

HASH, OTHER = "9be21f07c4d3", "0f44d8e1a7b2"


def test_a_block_is_commands_and_what_they_print() -> None:
    body = "$ one\nfirst\n\n  second\n$ two\n"
    assert read_console(body) == [Shown("one", ("first", "  second")), Shown("two", ())]
    with pytest.raises(AssertionError):
        read_console("output of nothing\n")


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("Done in 4.9s.", "Done in 12.3s."),
        ("A   B", "A B"),
        ("2 workers", "1 worker"),
        ("Run 0/1000 scenarios", "Run 40/1000 scenarios"),
    ],
)
def test_the_same_line(shown: str, printed: str) -> None:
    assert Copies().match(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("MATCH", "MISMATCH"),
        ("npv mean 1", "npv mean -"),
        ("1 workers", "1 worker left"),
        ("namespace gone", "namespace going"),
        ("s", ""),
        ("bundle " + HASH, "bundle " + OTHER),
        ("Bundle     " + HASH + "   my-model v1", "Bundle     " + OTHER + "   my-model v1"),
    ],
)
def test_another_line(shown: str, printed: str) -> None:
    assert not Copies().match(shown, printed)


def test_lines_may_be_left_out_but_not_moved_or_invented() -> None:
    printed = ["one", "two", "three"]
    assert Copies().missing(("one", "three"), printed) is None
    assert Copies().missing(("three", "one"), printed) == "one"
    assert Copies().missing(("one", "one"), printed) == "one"
    assert Copies().missing(("four",), printed) == "four"


def test_what_is_copied_is_one_thing_throughout() -> None:
    copies = Copies()
    assert copies.match("Job j-01jdx4m8k3q7 in b1, result " + HASH, "Job j-1ngajjzbh6hs in b1, result " + OTHER)
    assert copies.put_into(f"livecalc jobs show j-01jdx4m8k3q7 {HASH}") == f"livecalc jobs show j-1ngajjzbh6hs {OTHER}"
    assert copies.match("Resumed " + HASH, "Resumed " + OTHER)
    assert not copies.match("Resumed " + HASH, "Resumed 77bde0192ac4")
    assert not copies.match("Resumed 3fa0b1c2d944", "Resumed " + OTHER)


def test_a_session_is_one_shell_and_each_command_must_succeed(tmp_path: Path) -> None:
    with Session(tmp_path, reader_environment(tmp_path)) as session:
        check(session, Copies(), Shown("x=5; cd /", ()))
        check(session, Copies(), Shown('echo "x is $x"; pwd', ("x is 7", "/")))
        with pytest.raises(AssertionError, match="exit 1"):
            check(session, Copies(), Shown("false", ()))
        with pytest.raises(AssertionError, match="was shown, and not printed there: hello"):
            check(session, Copies(), Shown("printf bye", ("hello",)))


def test_what_a_bundle_command_prints_is_the_same_for_everybody(tmp_path: Path) -> None:
    with Session(tmp_path, reader_environment(tmp_path)) as session:
        check(session, Copies(), Shown("livecalc() { echo file " + HASH + "; }", ()))
        check(session, Copies(), Shown("livecalc bundle inspect m", ("file " + HASH,)))
        check(session, Copies(), Shown("livecalc run m", ("file " + OTHER,)))
        with pytest.raises(AssertionError, match="is the same for everybody: " + OTHER):
            check(session, Copies(), Shown("livecalc bundle inspect m", ("file " + OTHER,)))


def test_what_a_session_leaves_running_ends_with_it(tmp_path: Path) -> None:
    with Session(tmp_path, reader_environment(tmp_path)) as session:
        _, printed = session.run("sleep 600 & echo $!")
    pid = next(line for line in printed if line.isdecimal())
    until(lambda: not is_running(pid))


def is_running(pid: str) -> bool:
    try:
        state = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
