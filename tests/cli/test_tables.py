"""Tables and facts, as literal text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecalc.cli.format import width
from livecalc.cli.tables import facts, table
from livecalc.cli.views.trees import tree


def test_a_table_is_aligned_without_borders_or_tabs() -> None:
    shown = table(["POD", "BYTES", "NOTE"], [["worker-1", "812 KiB", ""], ["w-2", "-", "node gone"]], right=["BYTES"])
    assert shown.splitlines() == [
        "POD         BYTES  NOTE",
        "worker-1  812 KiB",
        "w-2             -  node gone",
    ]


def test_an_empty_table_is_its_headers() -> None:
    assert table(["POD", "BYTES"], []) == "POD  BYTES"


def test_facts_leave_out_what_is_empty_and_indent_what_goes_on() -> None:
    assert (
        facts([("Job", "j-1"), ("Labels", ""), ("Error", "first\nsecond")]) == "Job    j-1\nError  first\n       second"
    )


def test_wide_characters_take_two_columns() -> None:
    assert table(["A", "B"], [["保険", "x"], ["abcd", "y"]]).splitlines() == ["A     B", "保険  x", "abcd  y"]


@given(st.lists(st.tuples(st.text(max_size=12), st.text(min_size=1, max_size=5)), max_size=6))
def test_whatever_the_cells_hold_columns_begin_together(rows: list[tuple[str, str]]) -> None:
    shown = table(["ONE", "TWO"], [[one, "|" + two] for one, two in rows]).split("\n")
    assert len(shown) == len(rows) + 1
    starts = {width(line[: line.rindex("|")]) if "|" in line else None for line in shown[1:] if line.count("|") == 1}
    assert len(starts) <= 1


def test_an_unknown_column_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="THREE"):
        table(["ONE"], [], right=["THREE"])


def test_paths_are_drawn_as_a_tree() -> None:
    leaves = {"logs/w-1.log": "812 KiB", "logs/worker-2.log": "-", "pods.json": "4.0 KiB", "manifest.json": "last"}
    assert tree(leaves).splitlines() == [
        "├── logs/",
        "│   ├── w-1.log       812 KiB",
        "│   └── worker-2.log  -",
        "├── pods.json         4.0 KiB",
        "└── manifest.json     last",
    ]
    assert tree({}) == ""
