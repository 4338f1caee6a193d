import json
from pathlib import Path

import pytest

from livecalc.bundles.examples import find_example, list_examples, model_folder
from livecalc.bundles.pack import pack
from livecalc.bundles.scaffold import init
from livecalc.domain.errors import AlreadyExists, InvalidInput, NotFound, Unavailable

EXAMPLES = ["starter", "term-life"]


def test_lists_the_packaged_examples() -> None:
    assert list_examples() == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_packs_without_a_note(name: str, tmp_path: Path) -> None:
    packed = pack(find_example(name), tmp_path / "x.zip")
    assert packed.config.name == name
    assert packed.notes == ()


@pytest.mark.parametrize("example", [None, *EXAMPLES])
def test_makes_a_model_that_packs(example: str | None, tmp_path: Path) -> None:
    folder = init("my-model", tmp_path, example)
    assert folder == tmp_path / "my-model"
    packed = pack(folder, tmp_path / "x.zip")
    assert packed.config.name == "my-model"
    source = find_example(example or "starter")
    for file in packed.files:
        if file.path != "livecalc.config.json":
            assert (folder / file.path).read_bytes() == (source / file.path).read_bytes()
    old, new = ((place / "livecalc.config.json").read_text() for place in (source, folder))
    assert new == old.replace(json.dumps(source.name), '"my-model"', 1)


def test_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "file").touch()
    for name in ("mine", "file"):
        with pytest.raises(AlreadyExists, match="exists already; choose another name"):
            init(name, tmp_path)
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/x", "a b", "a/b"])
def test_refuses_names_that_no_model_has(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="model name"):
        init(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_says_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no example 'none'; there are starter, term-life"):
        init("x", tmp_path, "none")
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="x cannot be made: Not a directory"):
        init("x", tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_comes_before_an_example(tmp_path: Path) -> None:
    assert model_folder("term-life") == find_example("term-life")
    assert model_folder(str(tmp_path)) == tmp_path
    with pytest.raises(NotFound, match=r"no such file, and no example of that name \(starter, term-life\)"):
        model_folder("none")
    with pytest.raises(NotFound):
        find_example("../bundles")
