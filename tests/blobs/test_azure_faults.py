"""A connection to the service that breaks: lost answers, cuts both ways, statuses, pauses, and a line that crawls."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from support.faults import Fault, Proxy, Request, faulty, hasty, weather

from livecalc.blobs.azure import connect
from livecalc.blobs.azure.store import AzureStore
from livecalc.blobs.port import Verb, read_all
from livecalc.domain.errors import AlreadyExists, Damaged, NotFound, Unavailable

pytestmark = pytest.mark.anyio
MIB = 1 << 20
LARGE = bytes(range(256)) * (5 * MIB // 256)
"""More than one block."""
SIZES = pytest.mark.parametrize("content", [b"small", LARGE], ids=["in one request", "in blocks"])


@pytest.fixture
async def proxy(azurite: str) -> AsyncIterator[Proxy]:
    async with faulty(azurite) as opened:
        yield opened


@pytest.fixture
async def store(proxy: Proxy) -> AsyncIterator[AzureStore]:
    async with hasty(proxy.connection_string) as opened:
        yield opened


@pytest.fixture
def box() -> str:
    return f"box-{uuid4().hex[:20]}"


async def names(store: AzureStore, box: str) -> list[str]:
    return [info.name async for info in store.list_blobs(box)]


def first(proxy: Proxy, fault: Fault, *, times: int = 1, commit: bool = True, method: str = "PUT") -> None:
    """Break the next requests of a method; of PUTs only those that make a blob visible, or only the others."""
    left = [fault] * times

    def choose(request: Request) -> Fault | None:
        wanted = request.method == method and (method != "PUT" or request.is_commit == commit)
        return left.pop() if wanted and left else None

    proxy.choose = choose


@SIZES
async def test_a_commit_whose_answer_is_lost_knows_its_own_blob(
    proxy: Proxy, store: AzureStore, box: str, content: bytes
) -> None:
    await store.write(box, "before", b"")
    first(proxy, Fault(answer_lost=True))
    info = await store.write(box, "a", content, metadata={"who": "me"})
    assert len(proxy.faults) == 1
    assert await store.stat(box, "a") == info
    assert await read_all(store, box, "a") == content
    assert await names(store, box) == ["a", "before"]


@SIZES
async def test_a_blob_of_the_same_bytes_by_another_writer_is_not_ones_own(
    proxy: Proxy, store: AzureStore, azurite: str, box: str, content: bytes
) -> None:
    """It comes between the first try, which does not reach the service, and the second."""
    await store.write(box, "before", b"")
    async with connect(connection_string=azurite) as other:
        rival: list[Request] = []

        def choose(request: Request) -> Fault | None:
            if request.is_commit and not rival:
                rival.append(request)
                return Fault(status=503, retry_after="1")
            return None

        proxy.choose = choose

        async def body() -> AsyncIterator[bytes]:
            yield content
            await other.write(box, "a", content)

        with pytest.raises(AlreadyExists, match="'a'"):
            await store.write(box, "a", body())
    assert await names(store, box) == ["a", "before"]


@SIZES
@pytest.mark.parametrize("fault", [Fault(request_bytes=2), Fault(request_bytes=0), Fault(answer_bytes=0)], ids=str)
async def test_a_cut_connection_is_made_again(
    proxy: Proxy, store: AzureStore, box: str, content: bytes, fault: Fault
) -> None:
    await store.write(box, "before", b"")
    first(proxy, fault)
    await store.write(box, "a", content)
    assert await read_all(store, box, "a") == content
    assert await names(store, box) == ["a", "before"]


async def test_a_block_that_is_cut_or_whose_answer_is_lost_is_sent_again(
    proxy: Proxy, store: AzureStore, box: str
) -> None:
    await store.write(box, "before", b"")
    for number, fault in enumerate([Fault(request_bytes=2 * MIB), Fault(answer_lost=True), Fault(status=500)]):
        first(proxy, fault, commit=False)
        await store.write(box, f"a{number}", LARGE)
        assert await read_all(store, box, f"a{number}") == LARGE
    assert len(proxy.faults) == 3


async def test_what_stays_broken_leaves_nothing(proxy: Proxy, store: AzureStore, box: str) -> None:
    await store.write(box, "before", b"")
    proxy.choose = lambda request: Fault(status=503, retry_after="0") if request.is_commit else None
    with pytest.raises(Unavailable, match="cannot store blob 'a': it answered 503"):
        await store.write(box, "a", LARGE)
    assert await names(store, box) == ["before"]
    proxy.choose = lambda _: None
    await store.write(box, "a", LARGE)
    assert await read_all(store, box, "a") == LARGE


@pytest.mark.parametrize("status", [429, 503])
async def test_it_waits_as_long_as_it_is_asked_to(proxy: Proxy, store: AzureStore, box: str, status: int) -> None:
    await store.write(box, "before", b"")
    first(proxy, Fault(status=status, retry_after="1"), times=2)
    began = time.monotonic()
    await store.write(box, "a", b"x")
    assert time.monotonic() - began >= 2
    assert [request.path for request in proxy.seen[-3:]] == [f"{box}/a"] * 3


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_reads_lists_and_deletions_are_tried_again(
    proxy: Proxy, store: AzureStore, box: str, status: int
) -> None:
    info = await store.write(box, "a", b"x")
    first(proxy, Fault(status=status, retry_after="0"), method="HEAD")
    assert await store.stat(box, "a") == info
    first(proxy, Fault(status=status, retry_after="0"), times=2, method="GET")
    assert await read_all(store, box, "a") == b"x"
    first(proxy, Fault(status=status, retry_after="0"), times=2, method="GET")
    assert await names(store, box) == ["a"]
    first(proxy, Fault(status=status, retry_after="0"), method="DELETE")
    await store.delete(box, "a")
    assert await names(store, box) == []


@pytest.mark.parametrize("cut", [0, 4 * MIB - 1])
async def test_a_read_that_is_cut_goes_on_or_fails_and_never_ends_early(
    proxy: Proxy, store: AzureStore, box: str, cut: int
) -> None:
    await store.write(box, "a", LARGE)
    first(proxy, Fault(answer_bytes=cut), method="GET")
    assert await read_all(store, box, "a") == LARGE
    proxy.choose = lambda request: Fault(answer_bytes=cut) if request.method == "GET" else None
    with pytest.raises(Unavailable, match="cannot read blob 'a'"):
        await read_all(store, box, "a")


async def test_a_line_of_one_kilobyte_a_second(proxy: Proxy, store: AzureStore, box: str) -> None:
    await store.write(box, "before", b"")
    proxy.choose = lambda _: Fault(bytes_per_second=1000)
    began = time.monotonic()
    await store.write(box, "a", b"x" * 1500)
    assert await read_all(store, box, "a") == b"x" * 1500
    assert time.monotonic() - began > 2.8


async def test_the_platforms_own_connection_is_as_patient(proxy: Proxy, box: str) -> None:
    async with connect(connection_string=proxy.connection_string) as store:
        await store.write(box, "before", b"")
        for times, fault in ((3, Fault(status=503)), (2, Fault(answer_lost=True))):
            first(proxy, fault, times=times)
            await store.write(box, f"a{times}", LARGE)
            assert await read_all(store, box, f"a{times}") == LARGE


@pytest.mark.parametrize("seed", range(3))
async def test_in_any_weather_every_write_is_whole_or_not_there(
    proxy: Proxy, store: AzureStore, azurite: str, box: str, seed: int
) -> None:
    await store.write(box, "before", b"")
    proxy.choose = weather(seed, 0.3)
    contents = {f"{number}": b"%d" % number * size for number, size in enumerate([1, 1000, MIB, 2 * MIB])}
    done: set[str] = set()
    for name, content in contents.items():
        try:
            info = await store.write(box, name, content)
        except Unavailable:
            continue
        assert info.size == len(content)
        done.add(name)
    print(f"seed {seed}: {len(proxy.faults)} faults in {len(proxy.seen)} requests")  # noqa: T201  (the attack's figures)
    async with connect(connection_string=azurite) as plain:
        assert done <= set(await names(plain, box))
        for name in set(await names(plain, box)) - {"before"}:
            assert await read_all(plain, box, name) == contents[name]


@pytest.mark.parametrize("cut", [0, 50])
async def test_an_answer_that_says_no_and_is_cut_is_asked_for_again(
    proxy: Proxy, store: AzureStore, box: str, cut: int
) -> None:
    await store.write(box, "before", b"")
    first(proxy, Fault(answer_bytes=cut), times=2, method="GET")
    with pytest.raises(NotFound, match="'a'"):
        await read_all(store, box, "a")
    first(proxy, Fault(answer_bytes=cut), method="DELETE")
    with pytest.raises(NotFound, match="'a'"):
        await store.delete(box, "a")
    first(proxy, Fault(answer_bytes=cut))
    with pytest.raises(AlreadyExists, match="'before'"):
        await store.write(box, "before", b"x")
    assert len(proxy.faults) == 4


async def test_blocks_that_nobody_committed_are_in_no_ones_way(azurite: str, box: str) -> None:
    """A writer that died while it staged a large log leaves blocks under the name, and a small log comes after it."""

    async def cut() -> AsyncIterator[bytes]:
        yield LARGE
        raise ConnectionResetError

    async with connect(connection_string=azurite) as store:
        with pytest.raises(ConnectionResetError):
            await store.write(box, "a", cut())
        info = await store.write(box, "a", b"small", metadata={"who": "me"})
        assert await store.stat(box, "a") == info
        assert await read_all(store, box, "a") == b"small"
        with pytest.raises(AlreadyExists):
            await store.write(box, "a", b"another")


@SIZES
async def test_a_blob_that_was_stored_before_all_went_dark_is_known(
    proxy: Proxy, store: AzureStore, box: str, content: bytes
) -> None:
    await store.write(box, "before", b"")
    lost: list[Request] = []

    def choose(request: Request) -> Fault | None:
        if not request.is_commit:
            return None
        lost.append(request)
        return Fault(answer_lost=True) if len(lost) == 1 else Fault(status=503, retry_after="0")

    proxy.choose = choose
    info = await store.write(box, "a", content)
    assert await store.stat(box, "a") == info


async def test_blobs_of_other_kinds_are_damaged(azurite: str, box: str) -> None:
    """What a worker's grant can make beside a block blob: a page blob of terabytes, by one request without a byte."""
    async with connect(connection_string=azurite) as store:
        for kind, more in (("PageBlob", {"x-ms-blob-content-length": str(1 << 40)}), ("AppendBlob", {})):
            url = await store.grant(box, kind, Verb.CREATE, expires_at=datetime.now(UTC) + timedelta(hours=1), limit=9)
            headers = {"x-ms-blob-type": kind, "x-ms-version": "2021-12-02", **more}
            async with httpx.AsyncClient() as client:
                assert (await client.put(url, headers=headers)).status_code == 201
            with pytest.raises(Damaged, match="is no block blob"):
                await store.stat(box, kind)
            if kind == "PageBlob":
                with pytest.raises(Damaged, match="is no block blob"):
                    await read_all(store, box, kind)
            await store.delete(box, kind)
        assert await names(store, box) == []
