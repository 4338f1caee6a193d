"""A home with a past: a reaped bucket with an archive, a living one, a job in each; made once, copied for each test."""

import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from attack.environment_shell import Said, say
from support.bundles import model_files, write_folder
from support.processes import until


@dataclass(frozen=True)
class Lived:
    """A home, and what is in it."""

    home: Path
    model: Path
    """The model's folder."""
    old: str
    """The job of bucket `old`, which is archived and gone."""
    new: str
    """The job of bucket `new`, which lives."""

    def say(self, line: str, *more: str, terminal: bool = False, **settings: str) -> Said:
        """Run a command line on this home, and `more` words as they are; see `words`."""
        return say(*self.words(line), *more, terminal=terminal, LIVECALC_HOME=str(self.home), **settings)

    def words(self, line: str) -> list[str]:
        """Split a command line, in which OLD, NEW and MODEL stand for the jobs and the model's folder."""
        meant = {"OLD": self.old, "NEW": self.new, "MODEL": str(self.model)}
        return [meant.get(word, word) for word in line.split()]

    def rest(self) -> None:
        """Wait until nobody uses the home: the database's write-ahead log goes with the last who does."""
        until(lambda: not list((self.home / "cluster").glob("*.db-wal")))

    def copy(self, folder: Path) -> "Lived":
        """The same home elsewhere."""
        self.rest()
        # The bell is a named pipe, which copytree cannot copy; a node makes its own.
        shutil.copytree(self.home, folder, ignore=shutil.ignore_patterns("node.bell"))
        return Lived(folder, self.model, self.old, self.new)

    def find(self, pattern: str) -> Path:
        """The first file of a pattern, in which OLD and NEW stand for the jobs."""
        return min(self.home.glob(pattern.replace("OLD", self.old).replace("NEW", self.new)))


@contextmanager
def memory_folder() -> Generator[Path]:
    """A folder in memory where there is such a place: many homes are copied."""
    memory = Path("/dev/shm")  # noqa: S108  (a new folder with a random name)
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def live(folder: Path) -> Lived:
    """Make the home by commands, as a person would."""
    home, model = folder / "home", write_folder(folder / "model", model_files())
    lived = Lived(home, model, "", "")
    for line in (
        "submit MODEL --bucket old --wait --name first",
        "namespaces finalize old",
        "cleanup",
        "submit MODEL --bucket new --wait --name second",
    ):
        said = lived.say(line)
        assert said.code == 0, said
    jobs = {job["name"]: job["job_id"] for job in json.loads(lived.say("jobs list --json").out)}
    return Lived(home, model, jobs["first"], jobs["second"])
