"""A home in which something is damaged: one sentence each, never a traceback, and what is whole stays usable."""

import os
import sqlite3
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from attack.environment_home import Lived, live, memory_folder
from attack.environment_shell import Said

pytestmark = pytest.mark.attack
COMMANDS = (
    "status",
    "jobs list",
    "jobs show OLD",
    "jobs show NEW",
    "jobs result OLD",
    "jobs result NEW",
    "jobs logs OLD",
    "namespaces list",
    "diagnostics list",
    "diagnostics show old",
    "diagnostics verify old",
    "audit list",
    "audit verify",
    "bundle push MODEL",
    "mttc verify OLD",
    "submit MODEL --bucket third --wait",
    "namespaces finalize new",
    "cleanup",
)


def flip(content: bytes) -> bytes:
    """One bit in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def overwrite(content: bytes) -> bytes:
    """The same length."""
    return b"#" * len(content)


def no_text(content: bytes) -> bytes:
    """The same length, and JSON but for one byte that is not UTF-8."""
    at = content.index(b'"', content.index(b'":') + 2) + 1
    return content[:at] + b"\xff" + content[at + 1 :]


CHECKS = ("mttc verify", "diagnostics show", "diagnostics verify")
"""Commands for which a damaged thing is a check that does not hold: exit 3, whatever it is."""


def all_fail(*but: str) -> dict[str, int]:
    """Every command fails, but some."""
    return fail(*(line for line in COMMANDS if line not in but))


def fail(*lines: str) -> dict[str, int]:
    return {line: 3 if line.startswith(CHECKS) else 1 for line in lines}


@dataclass(frozen=True)
class Damage:
    """What is damaged, and which commands say so; all others do not notice."""

    file: str
    fails: dict[str, int]
    """Exit codes of the commands that end with one sentence, or with a check that does not hold."""
    warns: tuple[str, ...] = ()
    """Commands that do without what is damaged, and say so on standard error."""
    names: str = ""
    """What the sentences name."""
    ways: tuple[Callable[[bytes], bytes], ...] = (overwrite, cut)


RESULTS = "blobs/results-local/jobs/OLD"
DAMAGES = {
    "a job's submitted record": Damage(
        f"{RESULTS}/submitted.json",
        fail("jobs show OLD", "jobs result OLD", "jobs logs OLD", "mttc verify OLD"),
        ("jobs list", "audit verify"),
        names="OLD",
    ),
    "a job's finished record": Damage(
        f"{RESULTS}/finished.json",
        fail("jobs show OLD", "jobs result OLD", "mttc verify OLD"),
        ("jobs list", "audit verify"),
        names="OLD",
    ),
    "a partition": Damage(
        f"{RESULTS}/partitions/*",
        fail("jobs result OLD", "mttc verify OLD"),
        names="jobs/OLD/partitions/",
        ways=(overwrite, cut, flip),
    ),
    "a manifest": Damage(
        "blobs/diagnostics-local/old/*/manifest.json",
        fail("jobs logs OLD", "diagnostics show old", "diagnostics verify old"),
        ("diagnostics list", "jobs list", "jobs show OLD", "audit verify", "mttc verify OLD"),
        names="old/",
    ),
    "an archived log": Damage(
        "blobs/diagnostics-local/old/*/logs/*",
        fail("diagnostics show old", "diagnostics verify old"),
        ("jobs logs OLD",),
        names="/logs/OLD-0-",
        ways=(cut,),
    ),
    "an audit record": Damage(
        "blobs/audit-local/000000000004",
        {"audit verify": 3, **fail("diagnostics verify old")},
        ("audit list",),
        names="record 4",
    ),
    "the bundle": Damage(
        "blobs/bundles-local/*",
        fail("bundle push MODEL", "submit MODEL --bucket third --wait", "mttc verify OLD"),
        ways=(overwrite, cut, flip),
    ),
    "the mark of the home": Damage("home.json", dict.fromkeys(COMMANDS, 1), names="home.json"),
    "the mark of the store": Damage("store.json", dict.fromkeys(COMMANDS, 1), names="store.json"),
    "the identity's key": Damage("identity/key.pem", all_fail("cleanup"), names="key.pem"),
    "the key of grants": Damage(
        "blobs/.keys/grants",
        fail("mttc verify OLD", "submit MODEL --bucket third --wait"),
        names=".keys",
        ways=(cut,),
    ),
    "the cluster's database": Damage(
        "cluster/cluster.db",
        fail(
            "jobs logs OLD",
            "namespaces list",
            "mttc verify OLD",
            "submit MODEL --bucket third --wait",
            "namespaces finalize new",
            "cleanup",
        ),
        names="cluster.db",
    ),
}
FULL = os.environ.get("LIVECALC_ATTACK") == "full"
CASES = [
    *((name, way) for name, damage in DAMAGES.items() for way in damage.ways[: None if FULL else 1]),
    *(
        (name, no_text)
        for name in ("a job's submitted record", "a job's finished record", "a manifest", "an audit record")
    ),
]
"""All of them with `LIVECALC_ATTACK=full`; else one way to damage each thing, and few of the commands that run jobs."""
RUNNING = ("mttc verify OLD", "submit MODEL --bucket third --wait")


@pytest.fixture(scope="module")
def lived() -> Generator[Lived]:
    with memory_folder() as folder:
        yield live(folder)


@pytest.fixture
def copy(lived: Lived) -> Generator[Lived]:
    with memory_folder() as folder:
        yield lived.copy(folder / "home")


@pytest.mark.parametrize(("name", "way"), CASES, ids=[f"{name}-{way.__name__}" for name, way in CASES])
def test_damage(copy: Lived, name: str, way: Callable[[bytes], bytes]) -> None:
    damage = DAMAGES[name]
    path = copy.find(damage.file)
    path.chmod(0o600)
    path.write_bytes(way(path.read_bytes()))
    named = damage.names.replace("OLD", copy.old)
    lines = [line for line in COMMANDS if FULL or line not in RUNNING or line in damage.fails]
    wrong = [flaw for line in lines for flaw in flaws(copy.say(line), line, damage, named)]
    assert not wrong, "\n".join(wrong)


def test_the_checks_of_a_damaged_result_say_what_is_damaged(copy: Lived) -> None:
    path = copy.find(f"{RESULTS}/partitions/*")
    path.chmod(0o600)
    path.write_bytes(flip(path.read_bytes()))
    said = copy.say("mttc verify OLD")
    assert said.code == 3
    assert f"the original's stored result is damaged (jobs/{copy.old}/partitions/" in said.out
    assert "First difference" not in said.out


def flaws(said: Said, line: str, damage: Damage, named: str) -> Generator[str]:
    """What is not as it should be in the end of a command."""
    told = f"{line}: exit {said.code}, {said.err!r}"
    if "Traceback" in said.err:
        yield f"a traceback: {told}"
    if said.code != damage.fails.get(line, 0):
        yield f"exit {damage.fails.get(line, 0)} was due: {told}"
    elif said.code and (len(said.errors) != (said.code == 1) or named not in said.err + said.out):
        yield f"one sentence with {named!r} was due: {told}"
    elif line in damage.warns and not any(named in warning for warning in said.warnings):
        yield f"a warning with {named!r} was due: {told}"
    elif line not in damage.warns and not said.code and said.warnings and line != "cleanup":
        yield f"nothing was to be said: {told}"


def test_a_home_of_another_layout_is_left_alone(copy: Lived) -> None:
    (copy.home / "home.json").write_text('{"schema": 2}')
    before = listing(copy.home)
    for line in COMMANDS:
        said = copy.say(line)
        assert (said.code, len(said.errors)) == (2, 1), said
        assert f"home {copy.home} has schema 2, this version reads 1" in said.err
    assert listing(copy.home) == before


def test_a_database_of_another_layout_is_left_alone(copy: Lived) -> None:
    with sqlite3.connect(copy.home / "cluster/cluster.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    for line in DAMAGES["the cluster's database"].fails:
        said = copy.say(line)
        assert (said.code, len(said.errors)) == (1, 1), said
        assert "has schema version 99 and this livecalc knows 1 only" in said.err
    with sqlite3.connect(copy.home / "cluster/cluster.db") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (99,)
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
    database.close()


def listing(home: Path) -> dict[str, int]:
    """All files and their sizes."""
    return {str(path): path.stat().st_size for path in home.rglob("*")}
