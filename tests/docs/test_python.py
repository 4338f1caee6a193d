"""The page on Python has every public name of the client, names none that is not there, and its examples run."""

import inspect
import re
import shlex
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from docs.pages import DOCS, Fence, fences
from docs.transcript import Copies, Session, Shown, check, reader_environment

import livecalc
from livecalc.api.problems import TABLE
from livecalc.cli.door import exit_code
from livecalc.client import Client, JobHandle, ResultArray
from livecalc.domain import errors

PAGE = DOCS / "python.md"
DEPTH = "· "


def section(heading: str) -> str:
    text = PAGE.read_text("utf-8")
    return re.split(r"^## ", text.partition(f"\n## {heading}\n")[2], flags=re.MULTILINE)[0]


def named(heading: str) -> dict[str, str]:
    """The names of a section's tables, each with what stands in its brackets; "property" without them."""
    rows = re.findall(r"^\| `(\w+)(\(([^`]*)\))?` \|", section(heading), re.MULTILINE)
    return {name: given if brackets else "property" for name, brackets, given in rows}


def public(owner: type) -> dict[str, str]:
    """The same of a class: its methods with their parameters, and its properties."""
    found: dict[str, str] = {}
    for name, value in vars(owner).items():
        if name.startswith("_"):
            continue
        found[name] = "property" if not inspect.isfunction(value) else told(inspect.signature(value))
    return found


def told(signature: inspect.Signature) -> str:
    words: list[str] = []
    for name, parameter in list(signature.parameters.items())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(name)
    return ", ".join(words)


@pytest.mark.parametrize(
    ("heading", "owner", "attributes"),
    [
        ("`Client`", Client, set[str]()),
        ("`JobHandle`", JobHandle, {"submitted"}),
        ("`ResultArray`", ResultArray, {"name"}),
    ],
)
def test_what_is_public_is_named_and_what_is_named_is_public(heading: str, owner: type, attributes: set[str]) -> None:
    assert named(heading) == public(owner) | dict.fromkeys(attributes, "property")


def test_connect_is_called_as_the_heading_says() -> None:
    arguments = str(inspect.signature(livecalc.connect)).partition(" ->")[0]
    plain = re.sub(r": [^=,)]+ = ", "=", arguments)
    assert f"## `livecalc.connect{plain}`" in PAGE.read_text("utf-8")


def test_the_errors_are_the_tree() -> None:
    def below(kind: type[errors.LivecalcError], depth: int = 0) -> Iterator[tuple[str, str, str, str]]:
        status = next(str(TABLE[each][0]) for each in kind.__mro__ if each in TABLE)
        over_http = "" if kind is errors.ModelFailed else status
        yield DEPTH * depth, kind.__name__, over_http, str(exit_code(kind("")))
        for each in kind.__subclasses__():
            if each.__module__ == errors.__name__:
                yield from below(each, depth + 1)

    rows = re.findall(r"^\| ((?:· )*)`(\w+)` \| [^|]* \| (\d*) ?\| (\d) \|$", section("Errors"), re.MULTILINE)
    assert rows == list(below(errors.LivecalcError))
    assert livecalc.errors is errors


def test_completion_shows_what_is_for_callers() -> None:
    assert dir(livecalc) == sorted(livecalc.__all__) == ["__version__", "connect", "errors"]
    assert all(hasattr(livecalc, name) for name in livecalc.__all__)


def test_the_examples_run_and_print_what_is_shown(tmp_path: Path) -> None:
    blocks = fences(PAGE)
    scripts = [(block, after) for block, after in pairwise([*blocks, Fence("", "", 0)]) if block.language == "python"]
    assert len(scripts) == 3
    copies = Copies()
    with Session(tmp_path, reader_environment(tmp_path)) as session:
        for script, after in scripts:
            shown = tuple(after.body.splitlines()) if after.language == "text" else ()
            check(session, copies, Shown(f"{shlex.quote(sys.executable)} -c {shlex.quote(script.body)}", shown))
