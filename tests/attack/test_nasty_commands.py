"""Nasty strings on the command line and in files: one sentence and exit 1 or 2, and nothing that drives a terminal."""

import json
import os
import re
import unicodedata
from collections.abc import Generator
from pathlib import Path

import pytest
from attack.environment_home import Lived, live, memory_folder
from attack.environment_shell import Said
from attack.nasty_strings import (
    BUCKET_IDS,
    CODE,
    DRIVES_TERMINAL,
    NO_BUCKET_IDS,
    PATHS,
    SPACES,
    SURROGATES,
    UNPRINTABLE,
)
from support.bundles import CONFIG, bundle, model_files, write_folder
from support.jobs import write_bundle

from livecalc.bundles.pack import pack
from livecalc.domain.buckets import NAMESPACE_PREFIX
from livecalc.domain.errors import LivecalcError

pytestmark = pytest.mark.attack
FULL = os.environ.get("LIVECALC_ATTACK") == "full"
STYLES = re.compile(r"\x1b\[(0|1|31|32)m")
"""The styles that the commands themselves use."""
RAISES = """
def draw(block, /, *, rates):
    raise ValueError({text!r})


def total(block, /, *, numbers):
    return numbers
"""
PAYLOAD = "|".join(DRIVES_TERMINAL)
BUCKET = (
    "namespaces create -- X",
    "namespaces show -- X",
    "namespaces finalize -- X",
    "namespaces reap -- X",
    "submit MODEL --bucket X",
    "mttc verify --bucket X --bundle X",
)
"""X is a bucket's id."""
ELSE = (
    "jobs show -- X",
    "jobs result -- X",
    "jobs logs -- X",
    "jobs cancel -- X",
    "jobs list --since X",
    "diagnostics show -- X",
    "diagnostics cat -- X",
    "diagnostics verify -- X",
    "audit verify --head X",
    "mttc verify -- X",
    "bundle inspect -- X",
    "bundle push -- X",
    "submit --bucket b -- X",
    "run -- X",
    "submit MODEL --bucket b --deadline X",
)
"""X is another name, a hash, a time or a path."""


@pytest.fixture(scope="module")
def lived() -> Generator[Lived]:
    with memory_folder() as folder:
        yield live(folder)


def test_every_name_is_refused_in_one_sentence(lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in lived.home.parent.iterdir())
    wrong = [
        flaw
        for lines, texts in ((BUCKET, NO_BUCKET_IDS), (ELSE, (*UNPRINTABLE, *PATHS, *CODE, *SPACES)))
        for text in (*texts[:: 1 if FULL else 5], *SURROGATES)
        for line in lines
        for flaw in flaws(say(lived, line, text))
    ]
    assert not wrong, "\n".join(wrong)
    assert list(tmp_path.iterdir()) == []
    assert sorted(path.name for path in lived.home.parent.iterdir()) == before


def say(lived: Lived, line: str, text: str) -> Said:
    words = [text if word == "X" else word for word in lived.words(line)]
    return lived.say("", *words, terminal=True)


def flaws(said: Said) -> Generator[str]:
    if said.code not in {1, 2}:
        yield f"exit {said.code}: {said}"
    elif len(said.errors) != 1:
        yield f"one sentence was due: {said}"
    elif drives_terminal(said):
        yield f"raw characters: {said!r}"


def drives_terminal(said: Said) -> list[str]:
    """Characters that do more than to stand there."""
    shown = STYLES.sub("", said.out + said.err).replace("\n", "")
    return [char for char in shown if unicodedata.category(char) in {"Cc", "Cf", "Cs"}]


def test_odd_bucket_ids_are_good(lived: Lived) -> None:
    plain = [
        text for text in BUCKET_IDS if not text.startswith(NAMESPACE_PREFIX)
    ]  # which commands take for the namespace
    for text in plain:
        assert lived.say("namespaces create --", text).code == 0
        shown = lived.say("namespaces show --", NAMESPACE_PREFIX + text)
        assert shown.code == 0, shown
    assert all(text in lived.say("namespaces list").out for text in plain)


def test_what_a_model_says_drives_no_terminal(lived: Lived, tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "b.zip", RAISES.format(text=PAYLOAD).encode())
    failed = lived.say("submit --bucket says --json --wait", str(path))
    assert failed.code == 1
    job = json.loads(failed.out)
    assert DRIVES_TERMINAL[1] in job["error"]
    lines = ("jobs list", "jobs show JOB", "jobs watch JOB", "jobs result JOB", "mttc verify JOB", "namespaces list")
    for line in (*lines, "namespaces finalize says", "cleanup", "diagnostics show says", "jobs show JOB", "audit list"):
        said = lived.say(line.replace("JOB", job["job_id"]), terminal="watch" not in line)  # a bar does drive it
        assert not drives_terminal(said), said


@pytest.mark.parametrize("text", UNPRINTABLE if FULL else UNPRINTABLE[::3], ids=ascii)
def test_files_with_nasty_names(lived: Lived, tmp_path: Path, text: str) -> None:
    files = model_files(CONFIG, {f"inputs/{text}.csv": b"x\n1\n"})
    (tmp_path / "b.zip").write_bytes(bundle(files))
    lines = [("bundle verify", tmp_path / "b.zip"), ("bundle push", tmp_path / "b.zip")]
    if "\x00" not in text:
        lines += [("bundle pack", write_folder(tmp_path / "model", files)), ("run", tmp_path / "model")]
    for line, path in lines:
        said = lived.say(line, str(path), terminal=True)
        assert said.code in {1, 2, 3}, said
        assert not drives_terminal(said), said


def test_files_of_a_model_stay_in_its_folder(lived: Lived, tmp_path: Path) -> None:
    for text in (*PATHS, "a/../../b", "..\\b", "inputs/../../../b"):
        config = json.loads(json.dumps(CONFIG))
        config["pipeline"]["nodes"][0]["inputs"]["rates"] = text
        folder = write_folder(tmp_path / "model", model_files(config))
        said = lived.say("bundle pack", str(folder), "-o", str(tmp_path / "out.zip"))
        assert (said.code, len(said.errors)) == (2, 1), (text, said)
        with pytest.raises(LivecalcError):
            pack(folder, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()
