"""What commands say on a disk that is read-only or full. Runs in a mount namespace of its own.

`environment_disks.py FOLDER` mounts a little memory there, makes a home with a past on it, and goes through each state
of the disk; it prints one line of JSON: what was said, by state.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from attack.environment_home import Lived, live
from attack.environment_shell import Said
from support.bundles import CONFIG, model_files, write_folder
from support.processes import until

SIZE = 12 << 20
COMMANDS = (
    "status",
    "jobs list",
    "jobs show OLD",
    "jobs result OLD",
    "jobs logs NEW",
    "namespaces list",
    "diagnostics list",
    "diagnostics show old",
    "diagnostics verify old",
    "audit list",
    "audit verify",
    "submit MODEL --bucket third",
    "namespaces finalize new",
    "cleanup",
    "mttc verify OLD",
)
WAITS = """
import os, time

def draw(block, /, *, rates):
    while not os.path.exists({go!r}):
        time.sleep(0.02)
    print("x" * 50_000)
    return block.normals(20_000)

def total(block, /, *, numbers):
    return numbers
"""


class Disk:
    """A small file system, and a home on it."""

    def __init__(self, folder: Path) -> None:
        _mount("-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(folder))
        self._folder = folder
        self._filler = folder / "filler"
        self.go = folder / "go"
        self.lived = live(folder)
        self.lived.rest()
        code = WAITS.format(go=str(self.go)).encode()
        self.waiting = write_folder(folder / "waiting", model_files(CONFIG, {"model.py": code}))
        self.wide = write_folder(
            folder / "wide", model_files(CONFIG, {"notes.py": b"# " + os.urandom(1 << 19).hex().encode()})
        )

    def fill(self, leave: int = 0) -> None:
        """Fill the disk until at most `leave` bytes are free."""
        with self._filler.open("wb", buffering=0) as file:
            while (free := _free(self._folder)) > leave:
                try:
                    file.write(bytes(min(free - leave, 1 << 20)))
                except OSError:
                    break

    def make_room(self) -> None:
        self._filler.unlink()

    def be_read_only(self) -> None:
        self.lived.rest()
        until(lambda: _mount("-o", "remount,ro", str(self._folder), check=False))


def _mount(*options: str, check: bool = True) -> bool:
    done = subprocess.run(["mount", *options], check=check, stderr=None if check else subprocess.DEVNULL)
    return done.returncode == 0


def _free(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_bsize


def full(disk: Disk) -> list[Said]:
    disk.fill()
    return [disk.lived.say(line) for line in COMMANDS]


def with_room(disk: Disk) -> list[Said]:
    disk.make_room()
    return [disk.lived.say(line) for line in COMMANDS if line.split()[0] not in {"mttc", "submit"}]


def pushing(disk: Disk) -> list[Said]:
    """A bundle that does not fit; afterwards it does."""
    disk.fill(leave=128 << 10)
    said = [disk.lived.say(f"bundle push {disk.wide}")]
    strays = list((disk.lived.home / "blobs/.tmp").iterdir())
    disk.make_room()
    return [*said, disk.lived.say(f"bundle push {disk.wide}"), Said("strays", len(strays), "", "")]


def running(disk: Disk) -> list[Said]:
    """A job that cannot store its result; the same one once there is room."""
    lived = disk.lived
    job = json.loads(lived.say(f"submit {disk.waiting} --bucket full --partitions 1 --json").out)["job_id"]
    until(lambda: _state(lived, job) == "running")
    disk.fill(leave=512 << 10)
    disk.go.touch()
    until(lambda: _state(lived, job) in {"failed", "succeeded"}, within=60.0)
    said = [lived.say(f"jobs show {job}"), lived.say("jobs list")]
    disk.make_room()
    return [*said, lived.say(f"submit {disk.waiting} --bucket full --partitions 1 --wait")]


def _state(lived: Lived, job: str) -> str:
    said = lived.say(f"jobs show {job} --json")
    return json.loads(said.out)["state"] if said.code == 0 else ""


def archiving(disk: Disk) -> list[Said]:
    """An archive that does not fit, by each policy; afterwards it does."""
    lived = disk.lived
    said = [lived.say("namespaces finalize full")]
    disk.fill(leave=32 << 10)
    said.append(lived.say("cleanup", ARCHIVE_POLICY="required"))
    said.append(lived.say("namespaces list"))
    disk.make_room()
    lines = ("cleanup", "diagnostics verify full", "audit verify", "namespaces list")
    return [*said, *(lived.say(line, ARCHIVE_POLICY="required") for line in lines)]


def read_only(disk: Disk) -> list[Said]:
    disk.be_read_only()
    said = [disk.lived.say(line) for line in COMMANDS]
    other = Lived(disk.lived.home.with_name("other"), disk.lived.model, "", "")
    return [*said, other.say("status"), other.say("submit MODEL --bucket b")]


STATES: tuple[Callable[[Disk], list[Said]], ...] = (full, with_room, pushing, running, archiving, read_only)


def main(folder: Path) -> None:
    disk = Disk(folder)
    os.chdir("/")
    said = {state.__name__: state(disk) for state in STATES}
    sys.stdout.write(msgspec.json.encode(said).decode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
