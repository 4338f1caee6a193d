"""A process whose clock is 25 hours off: the cluster's time counts, and nothing idle is reaped by the wrong one."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from attack.environment_home import Lived, live, memory_folder
from attack.environment_shell import Order, Said

from livecalc.cluster.local import LocalCluster
from livecalc.domain.namespaces import LAST_ACTIVITY
from livecalc.domain.timestamps import format_timestamp

pytestmark = pytest.mark.attack
COMMANDS = (
    "status",
    "jobs list --json",
    "namespaces list",
    "cleanup --dry-run",
    "cleanup",
    "submit MODEL --bucket third --wait",
    "jobs list --json",
    "audit verify",
    "token",
)
CLOCKS = {"+25h": "ahead of", "-25h": "behind"}
_TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def lived() -> Generator[Lived]:
    with memory_folder() as folder:
        yield live(folder)


@pytest.fixture
def copy(lived: Lived) -> Generator[Lived]:
    with memory_folder() as folder:
        yield lived.copy(folder / "home")


async def make_idle(lived: Lived, bucket: str) -> None:
    cluster = LocalCluster(lived.home / "cluster")
    record = await cluster.get_namespace(f"livecalc-bucket-{bucket}")
    moment = format_timestamp(await cluster.now() - timedelta(hours=30))
    await cluster.patch_namespace(record, annotations={LAST_ACTIVITY: moment})
    await cluster.close()


def say_at(clock: str, lived: Lived, lines: tuple[str, ...]) -> dict[str, Said]:
    """Run commands in a process whose clock is shifted."""
    if shutil.which("faketime") is None:
        pytest.fail("this test needs libfaketime: apt-get install faketime")
    order = Order(lines=[lived.words(line) for line in lines], settings={"LIVECALC_HOME": str(lived.home)})
    paths = [str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    command = ["faketime", "-f", clock, sys.executable, "-m", "attack.environment_shell"]
    done = subprocess.run(
        [*command, msgspec.json.encode(order).decode()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env=env,
    )
    return dict(zip(lines, msgspec.json.decode(done.stdout, type=list[Said]), strict=True))


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_shifted_clock(copy: Lived, clock: str) -> None:
    asyncio.run(make_idle(copy, "new"))
    said = say_at(clock, copy, COMMANDS)

    for line in ("status", "namespaces list", "submit MODEL --bucket third --wait", "audit verify"):
        assert said[line].code == 0, said[line]
    assert "livecalc-bucket-new" in said["namespaces list"].out
    for line in ("cleanup --dry-run", "cleanup"):
        assert said[line].code == 1, said[line]
        assert f"{CLOCKS[clock]} the cluster's: nothing idle is reaped until they agree" in said[line].err
    assert "but not certain in this sweep" in said["cleanup --dry-run"].out
    assert "Found 0 namespaces eligible for cleanup" in said["cleanup"].err
    jobs = msgspec.json.decode(said["jobs list --json"].out)
    assert [job["state"] for job in jobs] == ["succeeded"] * 3
    assert [job["created_at"] for job in jobs] == sorted((job["created_at"] for job in jobs), reverse=True)

    token = said["token"].out.strip()
    refused = copy.say("status", LIVECALC_TOKEN=token)
    assert (refused.code, len(refused.errors)) == (4, 1), refused
    swept = copy.say("cleanup")
    assert swept.code == 0, swept
    assert "Successfully reaped namespace livecalc-bucket-new" in swept.err
    assert copy.say("audit verify").code == 0


@pytest.mark.parametrize("clock", CLOCKS)
def test_what_is_finalized_is_reaped_by_any_clock(copy: Lived, clock: str) -> None:
    assert copy.say("namespaces finalize new").code == 0
    said = say_at(clock, copy, ("cleanup", "diagnostics verify new", "mttc verify NEW"))
    assert said["cleanup"].code == 1
    assert "Successfully reaped namespace livecalc-bucket-new" in said["cleanup"].err
    assert said["diagnostics verify new"].code == 0, said
    assert said["mttc verify NEW"].code == 0, said
