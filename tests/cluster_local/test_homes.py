"""Homes that will not do: each is refused in one sentence, and nothing in it is touched."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from asyncio import gather
from collections.abc import Callable
from pathlib import Path

import pytest
from contracts.cluster_harness import LocalHarness, Place, new_name, wait_for_node_to_leave

from livecalc.cluster.local import LocalCluster
from livecalc.cluster.local.home import Home, file_system, is_network
from livecalc.cluster.port import JobSpec, PodTemplate
from livecalc.domain.errors import Damaged, LivecalcError, Unavailable

pytestmark = pytest.mark.anyio

TESTS = Path(__file__).parents[1]
NARROW = Path(__file__).with_name("narrow_home.py")


def unknown_version(database: Path) -> None:
    with_home(database)
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 7")
    connection.close()


def other_program(database: Path) -> None:
    database.parent.mkdir()
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE notes (text TEXT)")
    connection.close()


def garbage(database: Path) -> None:
    database.parent.mkdir()
    database.write_bytes(os.urandom(8192))


def nothing(database: Path) -> None:
    database.parent.mkdir()
    database.touch()


def with_home(database: Path) -> None:
    """Make a real home there, in a process of its own that is gone afterwards."""
    script = (
        "import asyncio, sys; from pathlib import Path; from livecalc.cluster.local import LocalCluster\n"
        "async def main():\n"
        "    cluster = LocalCluster(Path(sys.argv[1]))\n"
        "    for n in range(300):\n"
        "        await cluster.create_namespace(f'n{n}', labels={'a': 'b'}, annotations={'text': 'x' * 500})\n"
        "    await cluster.close()\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", script, str(database.parent)], check=True, timeout=30)


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (unknown_version, Unavailable, "schema version 7"),
        (other_program, Damaged, "no cluster's database"),
        (garbage, Damaged, "damaged"),
        (nothing, Damaged, "no cluster's database"),
    ],
)
async def test_a_database_that_is_not_ours_is_refused_and_left_alone(
    tmp_path: Path, damage: Callable[[Path], None], error: type[LivecalcError], words: str
) -> None:
    database = tmp_path / "cluster" / "cluster.db"
    damage(database)
    before = database.read_bytes()
    cluster = LocalCluster(database.parent)

    with pytest.raises(error) as told:
        await cluster.list_namespaces({})
    with pytest.raises(error):
        await cluster.create_namespace(new_name(), labels={}, annotations={})

    assert words in told.value.detail
    assert str(database) in told.value.detail
    assert "\n" not in told.value.detail
    assert database.read_bytes() == before
    await cluster.close()


async def test_a_damaged_page_is_told_and_not_written_over(tmp_path: Path) -> None:
    database = tmp_path / "cluster" / "cluster.db"
    with_home(database)
    content = bytearray(database.read_bytes())
    content[8192:] = b"\x55" * (len(content) - 8192)
    database.write_bytes(content)
    cluster = LocalCluster(database.parent)

    with pytest.raises(Damaged) as told:
        await cluster.list_namespaces({})
    with pytest.raises(Damaged):
        await cluster.get_namespace("n1")

    assert str(database) in told.value.detail
    assert database.read_bytes() == bytes(content)
    await cluster.close()


async def test_a_home_is_its_users_alone(place: Place, harness: LocalHarness) -> None:
    await place.run("exit 0")
    await place.finished()

    for path in [harness.root, *harness.root.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


async def test_a_home_where_a_file_is_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cluster").write_text("in the way")
    cluster = LocalCluster(tmp_path / "cluster")

    with pytest.raises(Unavailable) as told:
        await cluster.list_namespaces({})

    assert str(tmp_path / "cluster") in told.value.detail
    await cluster.close()


async def test_what_is_committed_is_no_failure_where_no_node_can_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = LocalCluster(tmp_path / "cluster")
    await cluster.create_namespace("n1", labels={}, annotations={})
    Home(tmp_path / "cluster").node_log.mkdir()
    template = PodTemplate(image="local", command=("true",))

    await cluster.create_job("n1", JobSpec(name="job", partitions=1, template=template, deadline_seconds=60))

    (job,) = await cluster.list_jobs("n1")
    assert job.state == "pending"
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith(f"No node runs, so what is pending stays so: {tmp_path / 'cluster'} cannot be used")
    await cluster.close()


async def test_many_first_callers_make_one_database(tmp_path: Path) -> None:
    clusters = [LocalCluster(tmp_path / "cluster") for _ in range(8)]

    await gather(*(cluster.create_namespace(f"n{n}", labels={}, annotations={}) for n, cluster in enumerate(clusters)))

    found = await clusters[0].list_namespaces({})
    assert [record.name for record in found.items] == [f"n{n}" for n in range(8)]
    assert [path.name for path in (tmp_path / "cluster").glob("cluster.db.*")] == []
    await gather(*(cluster.close() for cluster in clusters))


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a home says on a small disk, in a mount namespace of its own."""
    root = tmp_path_factory.mktemp("narrow") / "disk"
    root.mkdir()
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    command = [*unshare, sys.executable, str(NARROW), str(root)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(TESTS)}
    )
    if done.returncode != 0:
        needed = "this test needs `unshare --mount` (util-linux) and the right to mount a tmpfs: run it as root"
        pytest.fail(f"{needed}\n{done.stderr}")
    return json.loads(done.stdout)


def test_a_full_disk_is_told_and_nothing_is_lost(narrow: dict[str, str]) -> None:
    assert narrow["full"].startswith("Unavailable: the disk that holds ")
    assert narrow["read when full"] == "ok"
    assert narrow["kept"] == "ok"
    assert narrow["with room"] == "ok"


def test_a_job_outlives_a_full_disk(narrow: dict[str, str]) -> None:
    assert narrow["job"] == "succeeded"


def test_a_home_on_a_full_disk_is_not_begun(narrow: dict[str, str]) -> None:
    assert narrow["new home"].startswith("Unavailable: ")
    assert narrow["new home files"] == "[]"


def test_a_read_only_home_is_told(narrow: dict[str, str]) -> None:
    assert narrow["write read-only"].startswith("Unavailable: ")
    assert "LIVECALC_HOME" in narrow["write read-only"]
    assert narrow["new home read-only"].startswith("Unavailable: ")


def test_the_file_system_of_a_path_is_known() -> None:
    assert file_system(Path("/proc/self")) == "proc"
    assert file_system(Path("/dev/shm")) == "tmpfs"  # noqa: S108  (asked about, not used)


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "ceph", "lustre"])
def test_network_file_systems_are_refused(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs", ""])
def test_local_file_systems_will_do(kind: str) -> None:
    assert not is_network(kind)


async def test_a_killed_maker_leaves_no_half_database(tmp_path: Path) -> None:
    """A draft that was left behind is no database, and does not keep the next from making one."""
    home = Home(tmp_path / "cluster")
    home.prepare()
    home.database.with_name("cluster.db.4711-00ff").write_bytes(b"half")
    cluster = LocalCluster(home.root)

    assert (await cluster.list_namespaces({})).items == ()
    await cluster.close()
    wait_for_node_to_leave(home.root)
