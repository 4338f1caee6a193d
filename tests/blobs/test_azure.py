"""What only the Azure adapter must do: settings that are wrong, and what it opens."""

import socket
from base64 import b64encode

import pytest
from blobstore import ACCOUNT, connection_string

from livecalc.blobs.azure import connect
from livecalc.domain.errors import InvalidInput

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
        ("AccountName=a;;AccountKey", "it is no list of Name=value"),
        (f"AccountKey={SECRET}", "its AccountName is missing, or none"),
        ("AccountName=abc;BlobEndpoint=http://127.0.0.1:1/a", "it has no AccountKey"),
        ("AccountName=abc;SharedAccessSignature=sv=1&sig=x", "it has no AccountKey"),
        (f"AccountName=a;AccountKey={SECRET}\nAccountName=b", "more than one line"),
        ("AccountName=abc;AccountKey=%%%;BlobEndpoint=http://127.0.0.1:1/a", "AccountKey is no base64"),
        (f"AccountName=abc;AccountKey={SECRET};BlobEndpoint=ftp://127.0.0.1/a", "its BlobEndpoint is no address"),
        (f"AccountName=a b;AccountKey={SECRET}", "its AccountName is missing, or none"),
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
