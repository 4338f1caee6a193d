"""What every blob store must do."""

import hashlib
import subprocess
import sys
import tracemalloc
from asyncio import gather
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from contracts.blob_adapters import ADAPTERS, open_grants, open_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livecalc.blobs.names import check_blob
from livecalc.blobs.port import BlobStore, GrantClient, Verb, read_all
from livecalc.blobs.streams import closing
from livecalc.domain.errors import AlreadyExists, Damaged, Forbidden, InvalidInput, NotFound, TooLarge, Unavailable

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
BAD_NAMES = [
    "", ".", "..", "/", "/lead", "trail/", "a//b", "a/../b", "../victim/x", "../../etc/passwd", "a/..", "a/.", "./a",
    "a/./b", "nul\0", "new\nline", "tab\t", "bell\a", "del\x7f", "c1\x85", "%2e%2e", "a%2fb", "100%", "back\\slash",
    "..\\..\\x", "C:\\x", "dot.", "a./b", "rtl\u202e", "zero\u200bwidth", "bom\ufeff", "lone\ud800", "\uffff",
    "private\ue000", "x" * 201, "é" * 101, "a" + "/b" * 254, "a" * 1025,
]  # fmt: skip
ODD_NAMES = [
    ".meta/x", ".tmp/x", ".locks/x", ".keys/grants", "..a", "...b", "a/..b", ".hidden", "-rf", "--help", "~", "~root",
    "$HOME", "`id`", "$(id)", "a b", " lead", "a'b", 'a"b', "a;b", "a|b", "a&b=c", "a?b", "a#b", "a+b", "a*b", "[a]",
    "con", "nul", "é", "e\u0301", "日本語/ログ.log", "🧮", "x" * 200, "é" * 100, "a" + "/b" * 253,
    "/".join(["🧮" * 50] * 20), "x.json",
]  # fmt: skip


@pytest.fixture(scope="session", params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def place(adapter: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if adapter == "azure":
        return str(request.getfixturevalue("azurite"))
    return str(tmp_path_factory.mktemp(adapter))


@pytest.fixture
async def store(adapter: str, place: str) -> AsyncIterator[BlobStore]:
    async with open_store(adapter, place) as opened:
        yield opened


@pytest.fixture
def grants(adapter: str) -> GrantClient:
    return open_grants(adapter)


@pytest.fixture
def box() -> str:
    return new_box()


def new_box() -> str:
    return f"box-{uuid4().hex[:20]}"


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=5)


def is_name(text: str) -> bool:
    try:
        check_blob(text)
    except InvalidInput:
        return False
    return True


async def names(store: BlobStore, box: str, prefix: str = "", *, after: str = "") -> list[str]:
    return [info.name async for info in store.list_blobs(box, prefix, after=after)]


class TestWriting:
    async def test_what_is_written_is_read(self, store: BlobStore, box: str) -> None:
        before = datetime.now(UTC) - timedelta(minutes=1)
        info = await store.write(box, "q4/a.log", b"hello", metadata={"retain_until": "2026-03-01"})
        assert (info.name, info.size) == ("q4/a.log", 5)
        assert info.sha256 == hashlib.sha256(b"hello").hexdigest()
        assert dict(info.metadata) == {"retain_until": "2026-03-01"}
        assert before < info.created_at < datetime.now(UTC) + timedelta(minutes=1)
        assert await store.stat(box, "q4/a.log") == info
        assert [found async for found in store.list_blobs(box)] == [info]
        assert await read_all(store, box, "q4/a.log") == b"hello"

    async def test_a_blob_is_never_replaced(self, store: BlobStore, box: str) -> None:
        first = await store.write(box, "a", b"first", metadata={"who": "first"})
        with pytest.raises(AlreadyExists, match="'a'"):
            await store.write(box, "a", b"second", metadata={"who": "second"})
        with pytest.raises(AlreadyExists, match="'a'"):
            await store.write(box, "a", pieces(b"third"))
        assert await read_all(store, box, "a") == b"first"
        assert await store.stat(box, "a") == first

    @pytest.mark.parametrize("mib", [0, 9])
    async def test_other_bytes_than_those_expected_are_not_stored(self, store: BlobStore, box: str, mib: int) -> None:
        body = b"a log" + b"x" * mib * MIB
        with pytest.raises(Damaged, match=r"'a'.*nothing is stored"):
            await store.write(box, "a", pieces(body[:-1] + b"?"), sha256=hashlib.sha256(body).hexdigest())
        assert await names(store, box) == []
        info = await store.write(box, "a", pieces(body), sha256=hashlib.sha256(body).hexdigest())
        assert info.sha256 == hashlib.sha256(body).hexdigest()

    async def test_a_taken_name_is_told_before_the_body_is_read(self, store: BlobStore, box: str) -> None:
        await store.write(box, "a", b"first")
        taken: list[bytes] = []

        async def body() -> AsyncIterator[bytes]:
            for _ in range(64):
                taken.append(b"x" * MIB)
                yield taken[-1]

        with pytest.raises(AlreadyExists):
            await store.write(box, "a", body())
        assert len(taken) < 64

    async def test_one_of_many_writers_wins(self, store: BlobStore, box: str) -> None:
        async def write(who: int) -> int | None:
            try:
                await store.write(box, "a", f"{who}".encode() * 1000)
            except AlreadyExists:
                return None
            return who

        winners = [who for who in await gather(*map(write, range(20))) if who is not None]
        assert len(winners) == 1
        assert await read_all(store, box, "a") == f"{winners[0]}".encode() * 1000

    async def test_one_of_many_processes_wins(self, adapter: str, place: str, store: BlobStore, box: str) -> None:
        won = run_writers(adapter, place, box, writers=4, count=25)
        assert sorted(name for names in won.values() for name in names) == sorted(f"shared/{n}" for n in range(25))
        for who, own in won.items():
            for name in own:
                assert await read_all(store, box, name) == f"{who} wrote {name}".encode()

    async def test_a_body_that_raises_leaves_nothing(self, store: BlobStore, box: str) -> None:
        async def body() -> AsyncIterator[bytes]:
            yield b"x" * 9 * MIB
            raise ConnectionResetError("the pod is gone")

        with pytest.raises(ConnectionResetError):
            await store.write(box, "q4/a.log", body())
        assert await names(store, box) == []
        with pytest.raises(NotFound):
            await store.stat(box, "q4/a.log")
        await store.write(box, "q4/a.log", b"whole")
        assert await read_all(store, box, "q4/a.log") == b"whole"

    @pytest.mark.parametrize("body", [[], [b""], [b"", b"a", b"", b"bc"], [b"x" * MIB, b"y"]])
    async def test_pieces_of_any_size(self, store: BlobStore, box: str, body: list[bytes]) -> None:
        info = await store.write(box, "a", pieces(*body))
        assert info.size == len(b"".join(body))
        assert info.sha256 == hashlib.sha256(b"".join(body)).hexdigest()
        assert await read_all(store, box, "a") == b"".join(body)

    async def test_an_empty_blob(self, store: BlobStore, box: str) -> None:
        assert (await store.write(box, "buckets/q4/job", b"")).size == 0
        assert await read_all(store, box, "buckets/q4/job") == b""
        assert await names(store, box) == ["buckets/q4/job"]

    async def test_a_big_blob_in_constant_memory(self, store: BlobStore, box: str) -> None:
        async def body() -> AsyncIterator[bytes]:
            for number in range(1536):
                yield number.to_bytes(2, "big") * 32 * 1024

        expected = hashlib.sha256()
        async for piece in body():
            expected.update(piece)
        found = hashlib.sha256()
        tracemalloc.start()
        try:
            info = await store.write(box, "big", body())
            async for piece in store.read(box, "big"):
                found.update(piece)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert info.size == 96 * MIB
        assert info.sha256 == expected.hexdigest() == found.hexdigest()
        assert peak < 72 * MIB

    @pytest.mark.parametrize("key", ["", "retain-until", "Upper", "a b", "é", "1st", "x" * 65])
    async def test_metadata_keys_that_not_every_store_keeps_are_refused(
        self, store: BlobStore, box: str, key: str
    ) -> None:
        with pytest.raises(InvalidInput):
            await store.write(box, "a", b"", metadata={key: "x"})
        assert await names(store, box) == []

    @pytest.mark.parametrize("value", ["é", "a\nb", "a\0", " lead", "x" * 8001])
    async def test_metadata_values_that_not_every_store_keeps_are_refused(
        self, store: BlobStore, box: str, value: str
    ) -> None:
        with pytest.raises(InvalidInput):
            await store.write(box, "a", b"", metadata={"key": value})
        assert await names(store, box) == []


class TestReading:
    @pytest.mark.parametrize(
        ("offset", "length", "expected"),
        [
            (0, None, b"0123456789"), (3, None, b"3456789"), (0, 4, b"0123"), (3, 4, b"3456"), (9, 1, b"9"),
            (8, 100, b"89"), (10, None, b""), (10, 5, b""), (999, 5, b""), (3, 0, b""),
        ],
    )  # fmt: skip
    async def test_ranges(self, store: BlobStore, box: str, offset: int, length: int | None, expected: bytes) -> None:
        await store.write(box, "a", b"0123456789")
        read = [chunk async for chunk in store.read(box, "a", offset=offset, length=length)]
        assert b"".join(read) == expected

    async def test_a_range_across_pieces(self, store: BlobStore, box: str) -> None:
        content = bytes(range(256)) * (3 * MIB // 256)
        await store.write(box, "a", content)
        read = [chunk async for chunk in store.read(box, "a", offset=MIB - 7, length=MIB + 20)]
        assert b"".join(read) == content[MIB - 7 : 2 * MIB + 13]

    async def test_what_is_not_there_is_not_found(self, store: BlobStore, box: str) -> None:
        other = new_box()
        await store.write(box, "a/b/c", b"")
        for missing in (other, box):
            with pytest.raises(NotFound, match="'a/b'"):
                await store.stat(missing, "a/b")
            with pytest.raises(NotFound, match="'a/b'"):
                await read_all(store, missing, "a/b")
            with pytest.raises(NotFound, match="'a/b'"):
                await store.delete(missing, "a/b")

    async def test_readers_that_stop_early_let_go_of_what_they_opened(self, store: BlobStore, box: str) -> None:
        await store.write(box, "a", b"x" * 9 * MIB)

        async def begin() -> None:
            async with closing(store.read(box, "a")) as stream:
                assert (await anext(stream)).startswith(b"xxx")

        await begin()
        before = open_files()
        for _ in range(20):
            await begin()
            assert open_files() <= before
        assert len(await read_all(store, box, "a")) == 9 * MIB


class TestListing:
    CONTENT = (
        "a-b",
        "a.b/c",
        "a/b",
        "a/b-c",
        "a/b0/d",
        "a0",
        "b/c/d/e",
        "b/c/d2",
        "é",
        "zz/é",
        "zz/e\u0301",
    )

    async def test_the_order_is_of_the_bytes_of_whole_names(self, store: BlobStore, box: str) -> None:
        for name in self.CONTENT:
            await store.write(box, name, b"")
        assert await names(store, box) == sorted(self.CONTENT, key=str.encode)

    @pytest.mark.parametrize(
        "prefix", ["", "a", "a/", "a/b", "a-", "a.", "a.b/c", "b/c/d", "b/c/d/", "x", "x/y", "b/c/d/e/f", "zz/", "."]
    )
    async def test_a_prefix_may_end_anywhere(self, store: BlobStore, box: str, prefix: str) -> None:
        for name in self.CONTENT:
            await store.write(box, name, b"")
        expected = sorted((name for name in self.CONTENT if name.startswith(prefix)), key=str.encode)
        assert await names(store, box, prefix) == expected

    async def test_after_any_name_the_rest_follows(self, store: BlobStore, box: str) -> None:
        for name in self.CONTENT:
            await store.write(box, name, b"")
        for after in (*self.CONTENT, "a", "a/", "a/b/", "b/c/zzz", "b/d", "\uffff"):
            rest = [name for name in self.CONTENT if name.encode() > after.encode()]
            assert await names(store, box, after=after) == sorted(rest, key=str.encode)
            rest = [name for name in rest if name.startswith("b/")]
            assert await names(store, box, "b/", after=after) == sorted(rest, key=str.encode)

    @pytest.mark.parametrize("prefix", ["..", "../", "../x", "/", "a//", "a/../", "a\0", "%", "a\\", "./a", "x" * 1025])
    async def test_a_prefix_that_no_name_has(self, store: BlobStore, box: str, prefix: str) -> None:
        await store.write(box, "a/b", b"")
        try:
            assert await names(store, box, prefix) == []
        except InvalidInput:
            return

    async def test_a_container_that_is_not_there_has_no_blobs(self, store: BlobStore, box: str) -> None:
        assert await names(store, box) == []

    async def test_containers_by_prefix_in_order(self, store: BlobStore) -> None:
        stem = new_box()
        for tail in ("-b", "-a", "0"):
            await store.write(stem + tail, "x", b"")
        assert await store.list_containers(f"{stem}-") == [f"{stem}-a", f"{stem}-b"]
        assert await store.list_containers(stem) == [f"{stem}-a", f"{stem}-b", f"{stem}0"]
        assert await store.list_containers(new_box()) == []
        found = await store.list_containers()
        assert found == sorted(found)
        assert not [name for name in found if name.startswith(".")]

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        content=st.sets(st.text("ab-./0é", min_size=1, max_size=6), max_size=12),
        prefix=st.text("ab-/0", max_size=3),
        after=st.text("ab-./0é", max_size=4),
    )
    async def test_any_names(self, store: BlobStore, content: set[str], prefix: str, after: str) -> None:
        box = new_box()
        valid = set(filter(is_name, content))
        kept = [name for name in valid if not any(other.startswith(f"{name}/") for other in valid)]
        for name in kept:
            await store.write(box, name, name.encode())
        expected = [name for name in kept if name.startswith(prefix) and name.encode() > after.encode()]
        try:
            assert await names(store, box, prefix, after=after) == sorted(expected, key=str.encode)
        except InvalidInput:
            assert expected == []
        for name in kept:
            assert await read_all(store, box, name) == name.encode()


class TestDeleting:
    async def test_deleted_is_gone_and_may_be_written_anew(self, store: BlobStore, box: str) -> None:
        await store.write(box, "a/b/c", b"old", metadata={"age": "old"})
        await store.write(box, "a/d", b"kept")
        await store.delete(box, "a/b/c")
        with pytest.raises(NotFound):
            await store.stat(box, "a/b/c")
        with pytest.raises(NotFound):
            await store.delete(box, "a/b/c")
        assert await names(store, box) == ["a/d"]
        await store.write(box, "a/b", b"a folder's name is free again")
        await store.delete(box, "a/b")
        await store.write(box, "a/b/c", b"new")
        assert (await store.stat(box, "a/b/c")).metadata == {}
        assert await read_all(store, box, "a/b/c") == b"new"

    async def test_the_last_blob(self, store: BlobStore, box: str) -> None:
        await store.write(box, "a", b"")
        await store.delete(box, "a")
        assert await names(store, box) == []
        await store.write(box, "a", b"")


class TestNames:
    @pytest.mark.parametrize("name", BAD_NAMES)
    async def test_bad_names_are_refused_everywhere(self, store: BlobStore, box: str, name: str) -> None:
        await store.write(box, "victim", b"")
        for call in (
            store.write(box, name, b"x"),
            store.write(box, name, pieces(b"x")),
            store.stat(box, name),
            read_all(store, box, name),
            store.delete(box, name),
            store.grant(box, name, Verb.READ, expires_at=soon(), limit=1),
        ):
            with pytest.raises(InvalidInput):
                await call
        assert await names(store, box) == ["victim"]

    @pytest.mark.parametrize(
        "container", ["", "a", "ab", "-ab", "ab-", "a--b", "Abc", "a_b", "a/b", "..", ".meta", ".tmp", "a.b", "é" * 3,
                      "x" * 64, "abc\n", "\0abc"]
    )  # fmt: skip
    async def test_bad_containers_are_refused_everywhere(self, store: BlobStore, container: str) -> None:
        for call in (
            store.write(container, "x", b"x"),
            store.stat(container, "x"),
            read_all(store, container, "x"),
            names(store, container),
            store.delete(container, "x"),
            store.grant(container, "x", Verb.READ, expires_at=soon(), limit=1),
        ):
            with pytest.raises(InvalidInput):
                await call

    @pytest.mark.parametrize("name", ODD_NAMES)
    async def test_odd_names_are_names_like_any_other(
        self, store: BlobStore, grants: GrantClient, box: str, tmp_path: Path, name: str
    ) -> None:
        await store.write(box, name, name.encode())
        assert await names(store, box) == [name]
        assert await names(store, box, name) == [name]
        url = await store.grant(box, name, Verb.READ, expires_at=soon(), limit=0)
        grants.fetch(url, tmp_path / "copy", limit=10_000)
        assert (tmp_path / "copy").read_bytes() == name.encode()
        await store.delete(box, name)
        assert await names(store, box) == []

    async def test_two_ways_to_write_one_letter_are_two_names(self, store: BlobStore, box: str) -> None:
        await store.write(box, "é", b"composed")
        await store.write(box, "e\u0301", b"decomposed")
        assert await read_all(store, box, "é") == b"composed"
        assert await names(store, box) == ["e\u0301", "é"]


class TestGrants:
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        path = tmp_path / "source"
        path.write_bytes(b"result")
        return path

    async def test_a_file_is_stored_and_fetched(
        self, store: BlobStore, grants: GrantClient, box: str, source: Path
    ) -> None:
        url = await store.grant(box, "jobs/1/0-x", Verb.CREATE, expires_at=soon(), limit=6)
        grants.create(url, source, sha256=digest(source))
        assert (await store.stat(box, "jobs/1/0-x")).size == 6
        url = await store.grant(box, "jobs/1/0-x", Verb.READ, expires_at=soon(), limit=0)
        assert grants.fetch(url, source.with_name("copy"), limit=6) == 6
        assert source.with_name("copy").read_bytes() == b"result"
        assert sorted(path.name for path in source.parent.iterdir()) == ["copy", "source"]

    async def test_created_once(self, store: BlobStore, grants: GrantClient, box: str, source: Path) -> None:
        url = await store.grant(box, "a", Verb.CREATE, expires_at=soon(), limit=100)
        grants.create(url, source, sha256=digest(source))
        other = replaced(source, b"another")
        with pytest.raises((AlreadyExists, Forbidden)):
            grants.create(url, other, sha256=digest(other))
        assert await read_all(store, box, "a") == b"result"

    async def test_one_verb(self, store: BlobStore, grants: GrantClient, box: str, source: Path) -> None:
        await store.write(box, "a", b"secret")
        reading = await store.grant(box, "b", Verb.READ, expires_at=soon(), limit=100)
        with pytest.raises(Forbidden):
            grants.create(reading, source, sha256=digest(source))
        creating = await store.grant(box, "a", Verb.CREATE, expires_at=soon(), limit=100)
        with pytest.raises(Forbidden):
            grants.fetch(creating, source.with_name("copy"), limit=100)
        assert await names(store, box) == ["a"]
        assert not source.with_name("copy").exists()

    async def test_one_blob(self, store: BlobStore, grants: GrantClient, box: str, source: Path) -> None:
        other = new_box()
        for container in (box, other):
            await store.write(container, "allowed/a", b"")
            await store.write(container, "allowed/b", b"secret")
            await store.write(container, "b", b"secret")
        url = await store.grant(box, "allowed/a", Verb.READ, expires_at=soon(), limit=0)
        path = urlsplit(url).path
        for edited in (
            path.replace("allowed/a", "allowed/b"),
            path.replace(box, other),
            path.replace("allowed/a", "b"),
            path.replace("allowed/a", "allowed/a/../b"),
            path.replace("allowed/a", "allowed%2Fb"),
            path.replace("allowed/a", "allowed//b"),
            path.removesuffix("/a"),
        ):
            with pytest.raises((Forbidden, NotFound)):
                grants.fetch(url.replace(path, edited), source.with_name("copy"), limit=100)
        url = await store.grant(box, "new", Verb.CREATE, expires_at=soon(), limit=100)
        with pytest.raises(Forbidden):
            grants.create(url.replace("/new?", "/newer?"), source, sha256=digest(source))
        assert not source.with_name("copy").exists()
        assert await names(store, box) == ["allowed/a", "allowed/b", "b"]

    async def test_any_changed_character_forbids(
        self, store: BlobStore, grants: GrantClient, box: str, source: Path
    ) -> None:
        await store.write(box, "a", b"")
        url = await store.grant(box, "a", Verb.READ, expires_at=soon(), limit=7)
        start = url.index("?") + 1
        for position in range(start, len(url)):
            for other in ("0", "1", "&"):
                if url[position] != other:
                    with pytest.raises((Forbidden, Unavailable)):
                        grants.fetch(url[:position] + other + url[position + 1 :], source.with_name("copy"), limit=9)
                    assert not source.with_name("copy").exists()
        for cut in range(start, len(url)):
            with pytest.raises((Forbidden, Unavailable)):
                grants.fetch(url[:cut], source.with_name("copy"), limit=9)

    async def test_an_end(self, store: BlobStore, grants: GrantClient, box: str, source: Path) -> None:
        await store.write(box, "a", b"")
        past = datetime.now(UTC) - timedelta(seconds=2)
        with pytest.raises(Forbidden):
            grants.fetch(
                await store.grant(box, "a", Verb.READ, expires_at=past, limit=9), source.with_name("copy"), limit=9
            )
        with pytest.raises(Forbidden):
            grants.create(
                await store.grant(box, "b", Verb.CREATE, expires_at=past, limit=9), source, sha256=digest(source)
            )
        assert await names(store, box) == ["a"]

    async def test_what_is_not_there(self, store: BlobStore, grants: GrantClient, box: str, source: Path) -> None:
        url = await store.grant(box, "a", Verb.READ, expires_at=soon(), limit=0)
        with pytest.raises(NotFound):
            grants.fetch(url, source.with_name("copy"), limit=9)
        assert not source.with_name("copy").exists()

    async def test_the_readers_limit(self, store: BlobStore, grants: GrantClient, box: str, source: Path) -> None:
        await store.write(box, "a", b"0123456789")
        url = await store.grant(box, "a", Verb.READ, expires_at=soon(), limit=0)
        with pytest.raises(TooLarge):
            grants.fetch(url, source.with_name("copy"), limit=9)
        assert not source.with_name("copy").exists()
        assert grants.fetch(url, source.with_name("copy"), limit=10) == 10


class TestLocks:
    """None of the stores here can lock; `blobs/test_azure_locks.py` has one that can. What cannot be had is said."""

    async def test_a_container_that_protects_nothing_is_named(self, store: BlobStore, box: str) -> None:
        await store.write(box, "a", b"free")
        why = await store.protection(box)
        assert why is not None
        assert box in why
        assert [info.name async for info in store.list_blobs(box)] == ["a"]

    async def test_what_cannot_be_locked_is_refused_and_stays_as_it_is(self, store: BlobStore, box: str) -> None:
        before = await store.write(box, "a", b"free")
        with pytest.raises((InvalidInput, Unavailable), match="blob 'a'"):
            await store.lock(box, "a", soon())
        assert await store.stat(box, "a") == before
        assert before.locked_until is None

    async def test_a_store_shows_no_lock_that_it_does_not_keep(self, store: BlobStore, box: str) -> None:
        try:
            await store.write(box, "a", b"free", locked_until=soon())
        except InvalidInput:
            assert await names(store, box) == []
            return
        assert (await store.stat(box, "a")).locked_until is None
        await store.delete(box, "a")


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def replaced(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_writers(adapter: str, place: str, box: str, *, writers: int, count: int) -> dict[str, list[str]]:
    script = Path(__file__).with_name("blob_writer.py")
    racing = {
        who: subprocess.Popen(
            [sys.executable, str(script), adapter, place, box, str(count), who],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in (f"writer-{number}" for number in range(writers))
    }
    for process in racing.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in racing.values():
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return {who: process.communicate(timeout=60)[0].splitlines() for who, process in racing.items()}
