import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecalc.bundles.paths import check_collisions, check_path
from livecalc.domain.errors import InvalidInput

NASTY = [
    ("/etc/passwd", "is absolute"),
    ("//host/share", "is absolute"),
    ("\\\\host\\share", "is absolute"),
    ("../x", "leads outside"),
    ("a/../../x", "leads outside"),
    ("a/..", "leads outside"),
    ("..", "leads outside"),
    (".", "empty part"),
    ("./x", "empty part"),
    ("a/./x", "empty part"),
    ("a//x", "empty part"),
    ("a/", "empty part"),
    ("", "empty part"),
    ("a\\..\\x", "backslash"),
    ("C:/x", "colon"),
    ("C:x", "colon"),
    ("x.csv:stream", "colon"),
    ("a\0b", "control character"),
    ("a\nb", "control character"),
    ("a\x1b[2Jb", "control character"),
    ("a\x7fb", "control character"),
    ("a\u202eb", "control character"),
    ("a\u200bb", "control character"),
    ("a\u2028b", "control character"),
    ("a\ue000b", "control character"),
    ("a\udc80b", "control character"),
    ("...", "ends with a dot"),
    ("a./x", "ends with a dot"),
    ("a /x", "ends with a dot or a space"),
    (".. /x", "ends with a dot or a space"),
    ("e\u0301.csv", "normal form C"),
    ("__pycache__/m.cpython-311.pyc", "compiled Python"),
    ("m.pyc", "compiled Python"),
    ("a" * 201, "longer than 200 bytes"),
    ("é" * 101, "longer than 200 bytes"),
    ("/".join(["abcdefghi"] * 52), "longer than 512 bytes"),
]
FINE = [
    "a",
    "a.csv",
    "inputs/policies.parquet",
    ".hidden",
    "a b/c d",
    "é.csv",
    "日本/表.csv",
    "~",
    "-rf",
    "a%2e%2e/b",
    "a" * 200,
]


@pytest.mark.parametrize(("path", "reason"), NASTY)
def test_refuses_nasty_paths(path: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_path(path)
    assert reason in refused.value.detail
    assert refused.value.detail.isprintable()


@pytest.mark.parametrize("path", FINE)
def test_takes_plain_paths(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "paths",
    [
        ["a.csv", "a.csv"],
        ["A.csv", "a.csv"],
        ["inputs/É.csv", "inputs/é.csv"],
        ["straße.csv", "STRASSE.csv"],
        ["a", "a/b"],
        ["a/b", "A"],
        ["a/b/c", "a/B"],
    ],
)
def test_refuses_names_that_meet(paths: list[str]) -> None:
    for order in (paths, paths[::-1]):
        with pytest.raises(InvalidInput, match="bundle refused"):
            check_collisions(order)


def test_refuses_a_folder_with_the_name_of_a_file() -> None:
    with pytest.raises(InvalidInput, match="'a' is a file, and a folder has that name too"):
        check_collisions(["a"], ["A"])
    check_collisions(["a/b", "a/c", "b/b"], ["a", "a", "c"])


@settings(deadline=None)
@given(st.text(st.sampled_from("./\\ :~aA\0é\u0301\u202e") | st.characters(), max_size=12))
def test_an_accepted_path_stays_inside(path: str) -> None:
    try:
        check_path(path)
    except InvalidInput:
        return
    folder = Path("/bundle")
    inside = Path(unicodedata.normalize("NFC", str(folder / path)))
    assert inside.is_relative_to(folder)
    assert ".." not in inside.parts
    assert inside.as_posix() == f"/bundle/{path}"
