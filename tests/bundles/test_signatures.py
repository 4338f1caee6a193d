import pytest

from livecalc.bundles.signatures import check_signature, read_definitions
from livecalc.domain.errors import InvalidInput


def check(source: str, *inputs: str) -> None:
    found = read_definitions(source.encode(), "model.py").get("node")
    check_signature(found, "python://model.py:node", inputs)


@pytest.mark.parametrize(
    ("source", "inputs"),
    [
        ("def node(block, /): ...", ()),
        ("def node(block): ...", ()),
        ("def node(block, /, *, b, a): ...", ("a", "b")),
        ("def node(block: 'Block', /, *, a: int = 3) -> dict[str, int]: ...", ("a",)),
        ("@decorated\ndef node(block, /, *, a): ...", ("a",)),
        ("def node(x): ...\ndef node(block, /, *, a): ...", ("a",)),
        ("import os, sys\nraise SystemExit\ndef node(block, /): ...", ()),
    ],
)
def test_takes_a_node(source: str, inputs: tuple[str, ...]) -> None:
    check(source, *inputs)


@pytest.mark.parametrize(
    ("source", "inputs", "reason"),
    [
        ("", (), "no `def node` at its top level"),
        ("def other(block, /): ...", (), "no `def node` at its top level"),
        ("class Model:\n    def node(block, /): ...", (), "no `def node` at its top level"),
        ("node = lambda block: 0", (), "no `def node` at its top level"),
        ("async def node(block, /): ...", (), "not a plain function"),
        ("class node: ...", (), "not a plain function"),
        ("def node(): ...", (), "as its one positional parameter: def node(block, /)"),
        ("def node(block, a): ...", ("a",), "as its one positional parameter: def node(block, /, *, a)"),
        ("def node(block, /, a): ...", ("a",), "as its one positional parameter"),
        ("def node(*, a): ...", ("a",), "as its one positional parameter"),
        ("def node(block, /, **inputs): ...", ("a",), "takes *args or **kwargs"),
        ("def node(block, *args, a): ...", ("a",), "takes *args or **kwargs"),
        ("def node(block, /, *, a): ...", ("a", "b"), "no keyword parameter 'b' for the input of that name"),
        ("def node(block, /, *, a, c): ...", ("a",), "a keyword parameter 'c', which is no input"),
        ("def node(block, /:\n", (), "not valid Python, line 1"),
        ("\0", (), "'model.py'"),
        ("(" * 5000, (), "'model.py'"),
        ("-" * 100_000 + "1", (), "'model.py' cannot be read as Python"),
    ],
)
def test_refuses_what_is_no_node(source: str, inputs: tuple[str, ...], reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(source, *inputs)
    assert reason in refused.value.detail


def test_runs_nothing() -> None:
    check("import no_such_module\nprint(1 / 0)\ndef node(block, /): ...")
