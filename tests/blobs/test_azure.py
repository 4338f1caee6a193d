"""What only the Azure adapter must do: settings that are wrong, and what it opens."""

import asyncio
import logging
import socket
import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob.aio import BlobServiceClient
from blobstore import ACCOUNT, connection_string
from support.faults import Fault, Haste, faulty, hasty
from support.protecting import protecting

from livecalc.blobs.azure import connect
from livecalc.blobs.azure.failures import reported
from livecalc.blobs.azure.grants import AccountKey
from livecalc.blobs.azure.rest import Rest
from livecalc.blobs.port import BlobInfo, Verb, read_all
from livecalc.bootstrap.service import open_platform
from livecalc.domain.errors import AlreadyExists, Conflict, InvalidInput, Unavailable
from livecalc.settings import load

pytestmark = pytest.mark.anyio

SETTING = "AZURE_BLOB_CONNECTION_STRING"
SECRET = b64encode(b"secret secret secret").decode()


async def refused(*, connection_string: str | None = None, account_url: str | None = None) -> str:
    with pytest.raises(InvalidInput) as caught:
        async with connect(connection_string=connection_string, account_url=account_url):
            pass
    return caught.value.detail


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("garbage", "it is no list of Name=value"),
        ("UseDevelopmentStorage=true", "UseDevelopmentStorage is short for an address"),
        ("AccountName=a;;AccountKey", "it is no list of Name=value"),
        (f"AccountKey={SECRET}", "its AccountName is missing, or is not 3 to 24 of a-z and 0-9"),
        ("AccountName=abc;BlobEndpoint=http://127.0.0.1:1/a", "it has no AccountKey"),
        ("AccountName=abc;SharedAccessSignature=sv=1&sig=x", "it has no AccountKey"),
        (f"AccountName=a;AccountKey={SECRET}\nAccountName=b", "more than one line"),
        ("AccountName=abc;AccountKey=%%%;BlobEndpoint=http://127.0.0.1:1/a", "AccountKey is no base64"),
        (f"AccountName=abc;AccountKey={SECRET};BlobEndpoint=ftp://127.0.0.1/a", "its BlobEndpoint is no address"),
        (f"AccountName=a b;AccountKey={SECRET}", "its AccountName is missing, or is not 3 to 24 of a-z and 0-9"),
        (f"accountname=abc;ACCOUNTKEY={SECRET};blobendpoint=ftp://x", "its BlobEndpoint is no address"),
    ],
)
async def test_a_broken_connection_string_is_one_sentence(text: str, why: str) -> None:
    said = await refused(connection_string=text)
    assert said.startswith(f"{SETTING}=(hidden) is not valid: ")
    assert why in said
    assert SECRET not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "address",
    [
        "garbage", "http://a.blob.core.windows.net", "ftp://x", "https://", "https://[", "https://blobs.example.com",
        "https://a.blob.core.windows.net/?sv=1&sig=secret", "https://user:secret@a.blob.core.windows.net",
        "https://a.blob.core.windows.net/#sig=secret",
    ],
)  # fmt: skip
async def test_a_broken_address_is_one_sentence(address: str) -> None:
    said = await refused(account_url=address)
    assert said.startswith("AZURE_BLOB_ACCOUNT_URL=")
    assert "use the account's address" in said
    assert "secret" not in said


async def test_a_wrong_key_is_refused_before_anything_else(azurite: str) -> None:
    port = int(azurite.partition("http://127.0.0.1:")[2].partition("/")[0])
    said = await refused(connection_string=connection_string(port, key=SECRET))
    assert said == (
        f"{SETTING} names blob store 127.0.0.1:{port}: access is refused (AuthorizationFailure): "
        "check the key or identity, the account's firewall, and this machine's clock"
    )


async def test_a_store_that_does_not_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        said = await refused(connection_string=connection_string(port))
    assert said == f"{SETTING} names blob store 127.0.0.1:{port}, which does not answer: start it, or correct it"


async def test_the_store_is_called_by_its_address_without_the_key(azurite: str) -> None:
    async with connect(connection_string=azurite) as store:
        assert store.name.endswith(f"/{ACCOUNT}")
        assert store.name.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("status", [401, 403])
async def test_a_store_that_refuses_at_the_start(azurite: str, status: int) -> None:
    with pytest.raises(InvalidInput, match=rf"names blob store 127.0.0.1:\d+: access is refused \({status}\): check"):
        await opened_by_fault(azurite, Fault(status=status))


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_store_that_has_a_bad_moment_at_the_start(azurite: str, status: int) -> None:
    with pytest.raises(Unavailable, match=rf"{SETTING} names blob store .*, which answers {status}: try again later"):
        await opened_by_fault(azurite, Fault(status=status))


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (Fault(status=404), "404"),
        (Fault(status=400, headers=("x-ms-error-code: InvalidQueryParameterValue",)), "400 InvalidQueryParameterValue"),
        (Fault(status=200, headers=("Content-Type: text/html",), body=b"<html>Welcome</html>"), "200"),
    ],
    ids=["nothing there", "another service", "a web server"],
)
async def test_what_is_no_blob_store(azurite: str, fault: Fault, answer: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await opened_by_fault(azurite, fault)
    assert caught.value.detail.endswith(f", which does not answer like a blob store ({answer}): correct the address")


async def opened_by_fault(azurite: str, fault: Fault) -> None:
    async with faulty(azurite, lambda _: fault) as proxy, hasty(proxy.connection_string):
        pass


async def test_a_host_that_says_nothing_is_not_waited_for() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(InvalidInput, match="which does not answer: start it, or correct it"):
            async with connect(
                connection_string=connection_string(silent.getsockname()[1]), retry=Haste(), first_seconds=0.2
            ):
                pass
    assert time.monotonic() - began < 5


async def test_a_connection_string_as_it_comes_from_a_secret(azurite: str) -> None:
    async with connect(connection_string=f" {azurite}\n") as store:
        assert isinstance(await store.list_containers(), list)
    for name in ("AccountName", "AccountKey", "BlobEndpoint"):
        azurite = azurite.replace(f"{name}=", f"{name.lower()}=")
    async with connect(connection_string=azurite) as store:
        assert isinstance(await store.list_containers(), list)


async def test_the_two_ways_to_the_service_do_not_mix(azurite: str) -> None:
    box = new_box()
    with protecting(azurite) as proxy:
        async with connect(connection_string=proxy.connection_string) as store:
            assert isinstance(await store.list_containers(), list)
            await store.write(box, "a", b"x")
            assert await read_all(store, box, "a") == b"x"
            await store.write(box, "b", b"x")
    said = {each.path: each for each in proxy.seen if each.status < 300}
    assert "authorization" in said[""].headers
    assert "authorization" in said[f"{box}/a"].headers
    assert "authorization" not in said[f"{box}/b"].headers
    assert "sig" in said[f"{box}/b"].query


async def test_the_vendors_loggers_say_little(azurite: str) -> None:
    async with connect(connection_string=azurite):
        assert not logging.getLogger("azure.core.pipeline.policies.http_logging_policy").isEnabledFor(logging.WARNING)
        assert logging.getLogger("azure.core").isEnabledFor(logging.ERROR)
        assert not logging.getLogger("azure.identity.aio").isEnabledFor(logging.CRITICAL)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({SETTING: "garbage"}, "it is no list of Name=value"),
        ({"AZURE_BLOB_ACCOUNT_URL": "https://example.com"}, "use the account's address"),
        ({SETTING: "a=b", "AZURE_BLOB_ACCOUNT_URL": "https://abc.blob.core.windows.net"}, "are both set"),
        (
            {"AZURE_BLOB_ACCOUNT_URL": "https://abc.blob.core.windows.net", "JOB_DEADLINE_HOURS": "166.5"},
            "JOB_DEADLINE_HOURS=166.5 is too long with AZURE_BLOB_ACCOUNT_URL, .* set at most 166",
        ),
    ],
)
async def test_a_store_that_is_refused_leaves_no_home(tmp_path: Path, settings: dict[str, str], why: str) -> None:
    home = tmp_path / "home"
    with pytest.raises(InvalidInput, match=why):
        async with open_platform(load({"LIVECALC_HOME": str(home), **settings})):
            pass
    assert not home.exists()


async def test_a_long_deadline_is_no_matter_with_a_key(azurite: str, tmp_path: Path) -> None:
    settings = {"LIVECALC_HOME": str(tmp_path / "home"), SETTING: azurite, "JOB_DEADLINE_HOURS": "400"}
    async with open_platform(load(settings)) as platform:
        assert platform.blobs.name.endswith(ACCOUNT)


async def test_a_grant_begins_a_quarter_of_an_hour_ago(azurite: str) -> None:
    async with connect(connection_string=azurite) as store:
        url = await store.grant(new_box(), "a", Verb.READ, expires_at=datetime.now(UTC) + timedelta(hours=1), limit=1)
    start = datetime.fromisoformat(parse_qs(urlsplit(url).query)["st"][0])
    assert timedelta(minutes=14) < datetime.now(UTC) - start < timedelta(minutes=16)


async def test_of_two_large_writes_of_one_name_one_wins(azurite: str) -> None:
    box, contents = new_box(), [b"1" * (9 << 20), b"2" * (9 << 20)]
    async with connect(connection_string=azurite) as store:
        done = await asyncio.gather(*(store.write(box, "a", each) for each in contents), return_exceptions=True)
        won = [index for index, each in enumerate(done) if isinstance(each, BlobInfo)]
        assert len(won) == 1
        assert [type(each) for each in done if not isinstance(each, BlobInfo)] == [AlreadyExists]
        assert await read_all(store, box, "a") == contents[won[0]]


async def test_who_has_a_lease_is_said_to_have_one(azurite: str) -> None:
    box = new_box()
    async with connect(connection_string=azurite) as store, BlobServiceClient.from_connection_string(azurite) as other:
        await store.write(box, "a", b"x")
        lease = await other.get_blob_client(box, "a").acquire_lease()
        with pytest.raises(Conflict, match=r"somebody has a lease on it \(LeaseIdMissing\): end or break the lease"):
            await store.delete(box, "a")
        await lease.release()
        await store.delete(box, "a")


def test_a_legal_hold_of_the_store_is_called_so() -> None:
    error = HttpResponseError("no")
    error.error_code = "BlobImmutableDueToLegalHold"  # type: ignore[attr-defined]  (as the SDK does)
    with (
        pytest.raises(Conflict, match=r"under a legal hold of the store .* stays until that is taken away"),
        reported("abc", "delete blob 'a'"),
    ):
        raise error


async def test_a_signature_is_renewed_before_the_last_try_of_a_request_could_outlive_it(azurite: str) -> None:
    box, clock, ends = new_box(), [datetime.now(UTC) - timedelta(hours=1)], list[datetime]()
    async with connect(connection_string=azurite) as store, BlobServiceClient.from_connection_string(azurite) as other:
        await store.write(box, "before", b"")
        key = dict(part.split("=", 1) for part in azurite.split(";") if part)["AccountKey"]

        class Noting(AccountKey):
            async def sign_container(self, container: str, expires_at: datetime) -> str:
                ends.append(expires_at)
                return await super().sign_container(container, clock[0] + timedelta(hours=3))

        signer = Noting(other.url, ACCOUNT, key)
        rest = Rest(other.url, signer, Haste(), connect_seconds=10, read_seconds=10, now=lambda: clock[0])
        for minutes in (0, 39, 2):
            clock[0] += timedelta(minutes=minutes)
            await rest.put(box, f"{minutes}", b"", metadata={}, headers={})
        await rest.close()
    assert [end - clock[0] for end in ends] == [timedelta(minutes=19), timedelta(hours=1)]


def new_box() -> str:
    return f"box-{uuid4().hex[:20]}"
