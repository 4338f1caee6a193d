"""What is particular to grants that are `file:` URLs."""

import asyncio
import hashlib
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from livecalc.blobs.directory import DirectoryStore
from livecalc.blobs.directory.grants import FileGrants
from livecalc.blobs.port import Verb, read_all
from livecalc.domain.errors import AlreadyExists, Damaged, Forbidden, TooLarge, Unavailable

pytestmark = pytest.mark.anyio

FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"0123456789")
    return path


async def create_grant(store: DirectoryStore, limit: int = 100) -> str:
    return await store.grant("box", "a/b", Verb.CREATE, expires_at=FAR, limit=limit)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_the_second_create_is_told_apart(store: DirectoryStore, source: Path) -> None:
    url = await create_grant(store)
    FileGrants().create(url, source, sha256=digest(source))
    with pytest.raises(AlreadyExists, match="'a/b'"):
        FileGrants().create(url, source, sha256=digest(source))
    info = await store.stat("box", "a/b")
    assert (info.size, info.sha256) == (10, digest(source))


async def test_the_limit_of_a_create(store: DirectoryStore, root: Path, source: Path) -> None:
    with pytest.raises(TooLarge, match="9 bytes"):
        FileGrants().create(await create_grant(store, limit=9), source, sha256=digest(source))
    assert [info async for info in store.list_blobs("box")] == []
    assert list((root / ".tmp").iterdir()) == []
    FileGrants().create(await create_grant(store, limit=10), source, sha256=digest(source))


async def test_another_digest_is_not_stored(store: DirectoryStore, source: Path) -> None:
    with pytest.raises(Damaged, match="changed"):
        FileGrants().create(await create_grant(store), source, sha256="0" * 64)
    assert [info async for info in store.list_blobs("box")] == []


async def test_a_source_that_is_not_there(store: DirectoryStore, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        FileGrants().create(await create_grant(store), tmp_path / "missing", sha256="0" * 64)


async def test_a_target_that_cannot_be_written(store: DirectoryStore, tmp_path: Path) -> None:
    await store.write("box", "a", b"x")
    url = await store.grant("box", "a", Verb.READ, expires_at=FAR, limit=0)
    with pytest.raises(Unavailable, match="cannot be copied"):
        FileGrants().fetch(url, tmp_path / "missing/copy", limit=10)


async def test_the_key_is_the_stores_alone(store: DirectoryStore, root: Path, source: Path, tmp_path: Path) -> None:
    url = await create_grant(store)
    assert mode(root / ".keys") == 0o700
    assert mode(root / ".keys/grants") == 0o600
    other = DirectoryStore(tmp_path / "other")
    await other.write("box", "x", b"")
    foreign = (await create_grant(other)).replace(str(tmp_path / "other"), str(root))
    assert foreign.split("signature")[0] == url.split("signature")[0]
    with pytest.raises(Forbidden, match="forged"):
        FileGrants().create(foreign, source, sha256=digest(source))
    elsewhere = url.replace(str(root), str(tmp_path / "third"))
    with pytest.raises(Forbidden, match="no blob store of this machine"):
        FileGrants().create(elsewhere, source, sha256=digest(source))
    assert not (tmp_path / "third").exists()


async def test_stores_that_start_at_once_agree_on_the_key(root: Path, source: Path) -> None:
    urls = await asyncio.gather(*(create_grant(DirectoryStore(root)) for _ in range(12)))
    assert len(set(urls)) == 1
    assert sorted(path.name for path in (root / ".keys").iterdir()) == ["grants"]
    FileGrants().create(urls[0], source, sha256=digest(source))


async def test_a_damaged_key_is_said(store: DirectoryStore, root: Path, source: Path) -> None:
    url = await create_grant(store)
    (root / ".keys/grants").write_bytes(b"short")
    with pytest.raises(Damaged, match="key of grants"):
        FileGrants().create(url, source, sha256=digest(source))


async def test_it_ends_to_the_second(store: DirectoryStore, tmp_path: Path) -> None:
    await store.write("box", "a", b"x")
    end = datetime(2026, 1, 26, 1, 0, tzinfo=UTC)
    url = await store.grant("box", "a", Verb.READ, expires_at=end, limit=0)
    assert FileGrants(now=clock(end - timedelta(seconds=1))).fetch(url, tmp_path / "copy", limit=1) == 1
    with pytest.raises(Forbidden, match="expired"):
        FileGrants(now=clock(end)).fetch(url, tmp_path / "copy2", limit=1)


@pytest.mark.parametrize(
    "url",
    [
        "", "file:", "file:///", "file:///etc/passwd", "file:///etc/passwd?verb=read", "http://127.0.0.1/box/a",
        "file://host/box/a?verb=read&segments=1&expires=9&limit=9&signature=0", "file:///%00?segments=1", "file://[",
        "file:///box/a?verb=read&segments=-1&expires=9&limit=9&signature=0",
        "file:///box/a?verb=read&segments=99999999999999999999&expires=9&limit=9&signature=0",
        "file:///x/box/a?verb=read&verb=create&segments=1&expires=9&limit=9&signature=0",
        "file:///x/box/a?verb=delete&segments=1&expires=9&limit=9&signature=0",
        "file:///x/box/a?verb=read&segments=1&expires=9&limit=9&signature=é",
    ],
)  # fmt: skip
def test_no_grant_at_all(url: str, tmp_path: Path) -> None:
    with pytest.raises(Forbidden):
        FileGrants().fetch(url, tmp_path / "copy", limit=10)


async def test_no_error_shows_a_signature(store: DirectoryStore, source: Path) -> None:
    url = await create_grant(store)
    FileGrants().create(url, source, sha256=digest(source))
    signature = url.split("signature=")[1]
    for wrong in (url, url[:-1] + "x", url.replace("verb=create", "verb=read")):
        with pytest.raises((AlreadyExists, Forbidden)) as caught:
            FileGrants().create(wrong, source, sha256=digest(source))
        assert signature[:8] not in caught.value.detail


def test_a_worker_imports_little() -> None:
    code = "import sys, livecalc.blobs.directory.grants as g; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"asyncio", "anyio", "httpx", "numpy", "ssl", "jwt", "cryptography", "pyarrow"}
    assert heavy.isdisjoint(done.stdout.split())


async def test_a_blob_by_grant_is_read_like_any_other(store: DirectoryStore, source: Path) -> None:
    FileGrants().create(await create_grant(store), source, sha256=digest(source))
    assert await read_all(store, "box", "a/b") == b"0123456789"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def clock(moment: datetime) -> Callable[[], float]:
    return moment.timestamp
