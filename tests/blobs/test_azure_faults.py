"""A connection to the service that breaks: lost answers, cuts both ways, statuses, pauses, and a line that crawls."""

import asyncio
import socket
import ssl
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from azure.storage.blob.aio import BlobServiceClient
from msgspec import structs
from support.faults import Fault, Haste, Proxy, Request, faulty, hasty, weather
from support.waiting import eventually

from livecalc.blobs.azure import connect
from livecalc.blobs.azure.failures import cause, reported
from livecalc.blobs.azure.grants import AccountKey
from livecalc.blobs.azure.rest import Rest
from livecalc.blobs.azure.retry import Patience
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


async def test_a_pause_that_cannot_be_read_is_none(proxy: Proxy, store: AzureStore, box: str) -> None:
    await store.write(box, "before", b"")
    first(proxy, Fault(status=503, retry_after="soon"))
    await store.write(box, "a", b"x")
    first(proxy, Fault(status=429, retry_after="Sun, 99 Foo 2026"), method="GET")
    assert await read_all(store, box, "a") == b"x"
    assert len(proxy.faults) == 2


PAGE = Fault(
    status=200, headers=("Content-Type: text/html", "Last-Modified: never"), body=b"<html><p>Log in</p></html>"
)


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (PAGE, "what answered is no blob store, perhaps a proxy"),
        (structs.replace(PAGE, headers=(*PAGE.headers, "x-ms-request-id: 1")), "its answer cannot be read"),
        (structs.replace(PAGE, headers=("x-ms-request-id: 1",), body=b"<html>"), "its answer cannot be read"),
    ],
    ids=["a page", "a page that looks like the service's", "a page that is no XML"],
)
async def test_a_page_of_a_proxy_is_no_answer(proxy: Proxy, store: AzureStore, box: str, page: Fault, why: str) -> None:
    await store.write(box, "before", b"")
    proxy.choose = lambda _: page
    with pytest.raises(Unavailable, match=f"cannot store blob 'a': {why}"):
        await store.write(box, "a", b"x")
    with pytest.raises(Unavailable, match=f"cannot list the blobs of {box}: {why}"):
        await names(store, box)
    if page is PAGE:
        with pytest.raises(Unavailable, match=why):
            await store.stat(box, "before")
        with pytest.raises(Unavailable, match=why):
            await read_all(store, box, "before")
        with pytest.raises(Unavailable, match=why):
            await store.write(box, "a", LARGE)
    proxy.choose = lambda _: None
    assert await names(store, box) == ["before"]


@pytest.mark.parametrize("fault", [Fault(status=429), Fault(status=502), Fault(answer_lost=True)], ids=str)
async def test_the_request_for_a_delegation_key_is_tried_again(proxy: Proxy, fault: Fault) -> None:
    """By an account key, which the service refuses in the end: with a token it would take HTTPS."""
    first(proxy, fault, method="POST")
    now = datetime.now(UTC)
    async with BlobServiceClient.from_connection_string(proxy.connection_string, retry_policy=Haste()) as service:
        with pytest.raises(HttpResponseError):
            await service.get_user_delegation_key(now, now + timedelta(hours=1))
    assert [request.method for request in proxy.seen] == ["POST", "POST"]


def test_pauses_grow_from_the_first_on_and_differ() -> None:
    def pauses(chance: float) -> list[float]:
        patience = Patience(chance=lambda: chance)
        settings = patience.configure_retries({})
        return [patience.get_backoff_time({**settings, "history": [None] * tries}) for tries in range(1, 9)]

    assert pauses(0.5) == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10])
    assert pauses(0) == pytest.approx([pause / 2 for pause in pauses(0.5)])
    assert pauses(1) == pytest.approx([pause * 1.5 for pause in pauses(0.5)])
    both = [Patience().get_backoff_time({**Patience().configure_retries({}), "history": [None]}) for _ in range(2)]
    assert both[0] != both[1]


async def test_that_it_is_tried_again_is_told_once_in_ten_seconds(
    proxy: Proxy, box: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [0.0]
    patience = Patience(clock=lambda: clock[0])
    patience.backoff_factor = 0.005
    host = urlsplit(proxy.connection_string.partition("BlobEndpoint=")[2]).netloc.rstrip(";")

    def told() -> list[str]:
        return [
            f"{record.levelname} {record.getMessage()}" for record in caplog.records if record.name == "livecalc.blobs"
        ]

    async with connect(connection_string=proxy.connection_string, retry=patience) as store:
        await store.write(box, "before", b"")
        for _ in range(2):  # one by the vendor's client, one by our own requests
            first(proxy, Fault(status=503), times=2, method="GET")
            assert await read_all(store, box, "before") == b""
            first(proxy, Fault(status=503), times=2, method="GET")
            assert await names(store, box) == ["before"]
        assert told() == [f"WARNING blob store {host} answers 503: trying again"]
        clock[0] = 10.0
        first(proxy, Fault(request_bytes=0), times=3)
        await store.write(box, "a", b"x")
    assert len(told()) == 2
    assert told()[1].startswith(f"WARNING blob store {host} does not answer (")


async def test_a_store_that_went_away_is_told_in_plain_words(
    azurite: str, box: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        async with faulty(azurite) as proxy:
            store = await stack.enter_async_context(hasty(proxy.connection_string))
            await store.write(box, "before", b"")
        with pytest.raises(Unavailable, match=r"cannot read blob 'before': it does not answer \(connection refused\)$"):
            await store.stat(box, "before")
    told = [record.getMessage() for record in caplog.records if record.name == "livecalc.blobs"]
    assert [sentence.partition(" does ")[2] for sentence in told] == ["not answer (connection refused): trying again"]


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 10000)"), "connection refused"),
        (OSError(113, "Multiple exceptions: [Errno 113] ..."), "no route to host"),
        (socket.gaierror(-2, "Name or service not known"), "its name cannot be resolved"),
        (TimeoutError("Connection timeout to host http://h"), "nothing came in time"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), "Cannot connect to host h"),
        (None, "Cannot connect to host h"),
    ],
    ids=repr,
)
def test_a_cause_is_told_as_the_system_calls_it(inner: Exception | None, words: str) -> None:
    assert cause(ServiceRequestError("Cannot connect to host h", error=inner)) == words


async def test_no_error_tells_a_signature() -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 2OO\r\nnot: HTTP\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/account"
    rest = Rest(url, AccountKey(url, "account", "a2V5"), Haste(), connect_seconds=1, read_seconds=1)
    async with server:
        with pytest.raises(Unavailable) as caught, reported("account", "store a blob"):
            await rest.put("box", "a", b"x", metadata={}, headers={})
        await rest.close()
    assert "sig=" not in "".join(traceback.format_exception(caught.value))
    with (
        pytest.raises(Unavailable, match=r"\(Connection timeout to host http://h/box/a\?\.\.\.\)"),
        reported("account", "store a blob"),
    ):
        raise ServiceRequestError("Connection timeout to host http://h/box/a?sv=1&sig=SECRET")


async def test_writes_that_are_cancelled_leave_room_for_others(proxy: Proxy, store: AzureStore, box: str) -> None:
    """More of them than there is room for, each of more than one block."""
    await store.write(box, "before", b"")
    proxy.choose = lambda request: Fault(bytes_per_second=1000) if "comp=block" in request.query else None
    writes = [asyncio.create_task(store.write(box, f"{number}", LARGE * 2)) for number in range(12)]

    async def under_way() -> bool:
        return sum("comp=block" in request.query for request in proxy.seen) >= 6

    await eventually(under_way)
    for write in writes:
        write.cancel()
    assert {type(each) for each in await asyncio.gather(*writes, return_exceptions=True)} == {asyncio.CancelledError}
    proxy.choose = lambda _: None
    async with asyncio.timeout(30):
        await asyncio.gather(*(store.write(box, f"after{number}", LARGE) for number in range(8)))
    assert await names(store, box) == [*(f"after{number}" for number in range(8)), "before"]


async def test_bodies_that_stall_hold_up_large_writes_alone_until_one_is_given_up(store: AzureStore, box: str) -> None:
    """As many as there is room for, each within a block. Who makes a body gives it up; the reaper has a deadline."""
    begun: list[None] = []

    async def stalled() -> AsyncIterator[bytes]:
        yield LARGE
        begun.append(None)
        await asyncio.Event().wait()

    stalls = [asyncio.create_task(store.write(box, f"stalled{number}", stalled())) for number in range(8)]
    await eventually(lambda: asyncio.sleep(0, len(begun) == len(stalls)))
    large = asyncio.create_task(store.write(box, "large", LARGE))
    for number in range(8):
        await store.write(box, f"small{number}", b"x")
    assert await read_all(store, box, "small0") == b"x"
    assert not large.done()
    stalls[0].cancel()
    async with asyncio.timeout(30):
        await large
    for stall in stalls:
        stall.cancel()
    await asyncio.wait(stalls)
    assert await names(store, box) == ["large", *(f"small{number}" for number in range(8))]
