"""What is particular to blobs as files of a folder; what every store must do is in `contracts`."""

import asyncio
import hashlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread
import pytest

from livecalc.blobs.directory import DirectoryStore
from livecalc.blobs.port import read_all
from livecalc.domain.errors import AlreadyExists, Damaged, InvalidInput, NotFound, Unavailable

pytestmark = pytest.mark.anyio


async def names(store: DirectoryStore, container: str = "box", prefix: str = "", *, after: str = "") -> list[str]:
    return [info.name async for info in store.list_blobs(container, prefix, after=after)]


class TestFolders:
    async def test_a_person_finds_the_file(self, store: DirectoryStore, root: Path) -> None:
        await store.write("diagnostics-acme", "q4/20260126-010504/logs/worker-1.log", b"hello\n")
        assert (root / "diagnostics-acme/q4/20260126-010504/logs/worker-1.log").read_bytes() == b"hello\n"
        assert visible(root) == ["diagnostics-acme"]
        assert store.name == str(root)

    async def test_nobody_else_can_read(self, store: DirectoryStore, root: Path) -> None:
        await store.write("box", "a/b", b"secret", metadata={"key": "value"})
        folders, files = modes(root)
        assert len(folders) > 6
        assert set(folders) == {0o700}
        assert len(files) > 2
        assert set(files) == {0o600}

    async def test_names_that_look_like_records_and_folders(self, store: DirectoryStore) -> None:
        for name in ("x", "x.json/y", "y.json", "y/z", ".meta/box/x", ".tmp/x"):
            await store.write("box", name, name.encode(), metadata={"name": name})
        for name in await names(store):
            assert (await store.stat("box", name)).metadata == {"name": name}
            assert await read_all(store, "box", name) == name.encode()
        assert len(await names(store)) == 6

    @pytest.mark.parametrize("name", ["a/b/c", "a/b/c/d/e"])
    async def test_a_blob_is_no_folder(self, store: DirectoryStore, name: str) -> None:
        await store.write("box", "a/b", b"")
        with pytest.raises(InvalidInput, match="a part of its path is a blob itself"):
            await store.write("box", name, b"")
        with pytest.raises(NotFound):
            await store.stat("box", name)
        assert await names(store) == ["a/b"]

    async def test_a_folder_is_no_blob(self, store: DirectoryStore) -> None:
        await store.write("box", "a/b/c", b"")
        with pytest.raises(InvalidInput, match="the folder of other blobs"):
            await store.write("box", "a/b", b"")
        for call in (store.stat("box", "a/b"), read_all(store, "box", "a/b"), store.delete("box", "a/b")):
            with pytest.raises(NotFound):
                await call
        assert await names(store) == ["a/b/c"]

    async def test_folders_of_a_crashed_writer_do_not_take_a_name(self, store: DirectoryStore, root: Path) -> None:
        (root / "box/a/b/c").mkdir(parents=True)
        await store.write("box", "a", b"")
        assert await names(store) == ["a"]

    async def test_deleting_takes_empty_folders_along(self, store: DirectoryStore, root: Path) -> None:
        await store.write("box", "a/b/c", b"")
        await store.write("box", "a/d", b"")
        await store.delete("box", "a/b/c")
        assert sorted(path.name for path in (root / "box/a").iterdir()) == ["d"]
        await store.delete("box", "a/d")
        assert list((root / "box").iterdir()) == []
        assert list((root / ".meta/box").iterdir()) == []

    async def test_writers_and_deleters_of_one_folder(self, store: DirectoryStore) -> None:
        async def come_and_go(name: str) -> None:
            for _ in range(20):
                await store.write("box", name, b"x")
                await store.delete("box", name)
            await store.write("box", name, b"x")

        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(come_and_go(f"a/b/{number}"))
        assert await names(store) == [f"a/b/{number}" for number in range(6)]

    async def test_only_folders_that_matter_are_entered(self, store: DirectoryStore, root: Path) -> None:
        for name in ("a/x", "b/x", "c/x"):
            await store.write("box", name, b"")
        (root / "box/b/not-ours").write_bytes(b"")
        assert await names(store, prefix="a/") == ["a/x"]
        assert await names(store, prefix="a") == ["a/x"]
        assert await names(store, after="b/zzz") == ["c/x"]
        assert await names(store) == ["a/x", "b/not-ours", "b/x", "c/x"]


class TestDamage:
    async def test_a_file_that_someone_put_there(self, store: DirectoryStore, root: Path) -> None:
        await store.write("box", "a/mine", b"")
        (root / "box/a/copied").write_bytes(b"x")
        for call in (store.stat("box", "a/copied"), read_all(store, "box", "a/copied")):
            with pytest.raises(Damaged, match="'a/copied' in box has no record"):
                await call
        listed = {info.name: (info.size, info.sha256) async for info in store.list_blobs("box")}
        assert listed == {"a/copied": (1, ""), "a/mine": (0, hashlib.sha256().hexdigest())}
        with pytest.raises(AlreadyExists):
            await store.write("box", "a/copied", b"y")
        assert (root / "box/a/copied").read_bytes() == b"x"

    async def test_all_records_lost_is_not_an_empty_store(self, store: DirectoryStore, root: Path) -> None:
        await store.write("box", "a", b"")
        await anyio.to_thread.run_sync(shutil.rmtree, root / ".meta")
        assert await names(store) == ["a"]
        with pytest.raises(Damaged):
            await store.stat("box", "a")

    async def test_another_size(self, store: DirectoryStore, root: Path) -> None:
        await store.write("box", "a", b"0123456789")
        os.truncate(root / "box/a", 4)
        for call in (store.stat("box", "a"), read_all(store, "box", "a")):
            with pytest.raises(Damaged, match="has 4 bytes, but 10 were written"):
                await call

    @pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"null", b'{"size": "x"}', b'{"x":' + b"[" * 5000])
    async def test_a_broken_record(self, store: DirectoryStore, root: Path, content: bytes) -> None:
        await store.write("box", "a", b"")
        (root / ".meta/box/a%.json").write_bytes(content)
        for call in (store.stat("box", "a"), read_all(store, "box", "a")):
            with pytest.raises(Damaged, match="the record of blob 'a' cannot be read"):
                await call
        assert await names(store) == ["a"]

    async def test_a_record_without_its_blob_is_nothing(self, store: DirectoryStore, root: Path) -> None:
        await store.write("box", "a", b"old", metadata={"age": "old"})
        (root / "box/a").unlink()
        with pytest.raises(NotFound):
            await store.stat("box", "a")
        assert await names(store) == []
        await store.write("box", "a", b"new")
        assert (await store.stat("box", "a")).metadata == {}

    async def test_a_root_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "blobs").write_bytes(b"")
        with pytest.raises(Unavailable, match="blob store"):
            await DirectoryStore(tmp_path / "blobs").write("box", "a", b"")


class TestLinks:
    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        folder = tmp_path / "outside"
        (folder / "sub").mkdir(parents=True)
        (folder / "secret").write_bytes(b"secret")
        (folder / "sub/secret").write_bytes(b"secret")
        return folder

    async def test_a_linked_folder_is_never_entered(self, store: DirectoryStore, root: Path, outside: Path) -> None:
        await store.write("box", "a/b", b"")
        (root / "box/link").symlink_to(outside, target_is_directory=True)
        (root / ".meta/box/link").symlink_to(outside, target_is_directory=True)
        before = tree(outside)
        assert await names(store) == ["a/b"]
        with pytest.raises(Damaged, match="'link' in the blob store is a link"):
            await names(store, prefix="link/")
        for name in ("link/secret", "link/sub/secret", "link/new"):
            for call in (
                store.stat("box", name), read_all(store, "box", name), store.delete("box", name),
                store.write("box", name, b"x"),
            ):  # fmt: skip
                with pytest.raises((Damaged, NotFound)):
                    await call
        assert tree(outside) == before

    async def test_a_linked_container_is_none(self, store: DirectoryStore, root: Path, outside: Path) -> None:
        await store.write("box", "a", b"")
        (root / "linked").symlink_to(outside, target_is_directory=True)
        before = tree(outside)
        assert await store.list_containers() == ["box"]
        for call in (
            store.stat("linked", "secret"), read_all(store, "linked", "secret"), store.delete("linked", "secret"),
            store.write("linked", "new", b"x"), names(store, "linked"),
        ):  # fmt: skip
            with pytest.raises((Damaged, NotFound)):
                await call
        assert tree(outside) == before

    async def test_a_linked_file_is_never_read_nor_replaced(
        self, store: DirectoryStore, root: Path, outside: Path
    ) -> None:
        await store.write("box", "a", b"secret")
        (root / "box/link").symlink_to(outside / "secret")
        await anyio.to_thread.run_sync(shutil.copy, root / ".meta/box/a%.json", root / ".meta/box/link%.json")
        for call in (store.stat("box", "link"), read_all(store, "box", "link")):
            with pytest.raises(Damaged, match="is a link"):
                await call
        with pytest.raises(AlreadyExists):
            await store.write("box", "link", b"x")
        assert await names(store) == ["a"]
        await store.delete("box", "link")
        assert (outside / "secret").read_bytes() == b"secret"

    async def test_a_dangling_link_is_not_written_through(
        self, store: DirectoryStore, root: Path, outside: Path
    ) -> None:
        await store.write("box", "a", b"")
        (root / "box/link").symlink_to(outside / "new")
        with pytest.raises(AlreadyExists):
            await store.write("box", "link", b"x")
        assert not (outside / "new").exists()

    async def test_a_pipe_does_not_hang(self, store: DirectoryStore, root: Path) -> None:
        await store.write("box", "a", b"")
        os.mkfifo(root / "box/pipe")
        with pytest.raises(Damaged, match="no plain file"):
            await store.stat("box", "pipe")
        assert await names(store) == ["a"]

    async def test_the_root_itself_may_be_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "disk").mkdir()
        (tmp_path / "blobs").symlink_to(tmp_path / "disk", target_is_directory=True)
        store = DirectoryStore(tmp_path / "blobs")
        await store.write("box", "a", b"")
        assert await names(store) == ["a"]


class TestInterruption:
    async def test_a_writer_killed_at_any_step_leaves_a_whole_blob_or_none(self, root: Path) -> None:
        script = Path(__file__).with_name("killed_writers.py")
        seed = 20260126
        command = [sys.executable, str(script), str(root), str(seed)]
        done = await anyio.to_thread.run_sync(lambda: subprocess.run(command, check=True, capture_output=True))
        containers = done.stdout.decode().split()
        steps = [name for name in containers if name.startswith("step-")]
        assert len(steps) > 30
        store = DirectoryStore(root)
        whole = [container for container in containers if await names(store, container)]
        assert steps[-1] in whole
        assert steps[0] not in whole
        for container in containers:
            await check_whole_or_absent(store, container)
        assert list((root / ".tmp").iterdir()) == []

    async def test_leftovers_of_the_dead_are_swept_and_those_of_the_living_kept(
        self, store: DirectoryStore, root: Path
    ) -> None:
        (root / ".tmp").mkdir(parents=True)
        (root / ".tmp/4711-dead").write_bytes(b"x" * 1000)
        is_under_way = asyncio.Event()
        may_end = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"x" * 2_000_000
            is_under_way.set()
            await may_end.wait()
            yield b"y"

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            writing = group.create_task(store.write("box", "slow", body()))
            await is_under_way.wait()
            await DirectoryStore(root).write("box", "other", b"")
            assert len(list((root / ".tmp").iterdir())) == 1
            may_end.set()
        assert writing.result().size == 2_000_001
        assert list((root / ".tmp").iterdir()) == []

    async def test_a_cancelled_writer_leaves_nothing(self, store: DirectoryStore, root: Path) -> None:
        await store.write("box", "a", b"")
        before = open_files()
        is_under_way = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 1_000_000
                is_under_way.set()

        writing = asyncio.create_task(store.write("box", "b", body()))
        await is_under_way.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert await names(store) == ["a"]
        assert list((root / ".tmp").iterdir()) == []
        assert open_files() == before

    async def test_a_cancelled_reader_closes_its_file(self, store: DirectoryStore) -> None:
        await store.write("box", "a", b"x" * 30_000_000)
        before = open_files()
        is_under_way = asyncio.Event()

        async def read() -> None:
            async for _ in store.read("box", "a"):
                is_under_way.set()

        reading = asyncio.create_task(read())
        await is_under_way.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await asyncio.get_running_loop().shutdown_asyncgens()
        assert open_files() == before


async def check_whole_or_absent(store: DirectoryStore, container: str) -> None:
    for name in await names(store, container):
        info = await store.stat(container, name)
        content = await read_all(store, container, name)
        assert info.size == len(content)
        assert info.sha256 == hashlib.sha256(content).hexdigest()
        await store.delete(container, name)
    name = "q4/20260126-010504/logs/worker-1.log"
    await store.write(container, name, b"anew")
    assert (await store.stat(container, name)).metadata == {}
    assert await read_all(store, container, name) == b"anew"


def modes(root: Path) -> tuple[list[int], list[int]]:
    found = [(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (root, *root.rglob("*"))]
    return [mode for is_folder, mode in found if is_folder], [mode for is_folder, mode in found if not is_folder]


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def tree(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  (a count, nothing of the paths)
