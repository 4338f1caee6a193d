"""The key pair of one machine."""

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from livecalc.domain.errors import Damaged, InvalidInput, Unauthenticated, Unavailable
from livecalc.domain.tenants import Principal
from livecalc.identity.local import AUDIENCE, ISSUER, LocalIdentity
from livecalc.identity.verifier import Verifier

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "home" / "identity"


@pytest.fixture
def identity(root: Path) -> LocalIdentity:
    return LocalIdentity(root)


def verifier(identity: LocalIdentity) -> Verifier:
    return Verifier(identity, issuer=ISSUER, audience=AUDIENCE)


async def test_what_it_issues_verifies(identity: LocalIdentity) -> None:
    principal = await verifier(identity).verify(identity.issue("acme", "jane", HOUR))
    assert (principal.tenant_id, principal.user_id) == ("acme", "jane")
    assert isinstance(principal, Principal)
    assert principal.expires_at is not None
    with pytest.raises(Unauthenticated, match="expired"):
        await verifier(identity).verify(identity.issue("acme", "jane", -HOUR))


async def test_the_key_stays(identity: LocalIdentity, root: Path) -> None:
    keys = await identity.fetch()
    assert await LocalIdentity(root).fetch() == keys
    await verifier(LocalIdentity(root)).verify(identity.issue("acme", "jane", HOUR))


async def test_another_home_is_another_issuer(identity: LocalIdentity, tmp_path: Path) -> None:
    other = LocalIdentity(tmp_path / "other")
    with pytest.raises(Unauthenticated):
        await verifier(identity).verify(other.issue("acme", "jane", HOUR))


async def test_only_its_owner_can_read(identity: LocalIdentity, root: Path) -> None:
    await identity.fetch()
    assert mode(root) == 0o700
    assert mode(root / "key.pem") == 0o600
    assert names_in(root) == ["key.pem"]


async def test_a_key_that_others_can_read_is_not_used(identity: LocalIdentity, root: Path) -> None:
    await identity.fetch()
    (root / "key.pem").chmod(0o640)
    with pytest.raises(Unavailable, match="chmod 600"):
        await identity.fetch()
    with pytest.raises(Unavailable, match="chmod 600"):
        identity.issue("acme", "jane", HOUR)


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"]
)
async def test_a_damaged_key(identity: LocalIdentity, root: Path, content: bytes) -> None:
    await identity.fetch()
    (root / "key.pem").write_bytes(content)
    with pytest.raises(Damaged, match="is damaged"):
        await identity.fetch()


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="cannot be read or made"):
        await LocalIdentity(tmp_path / "file" / "identity").fetch()


def test_threads_that_start_at_once_agree(root: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        issued = [pool.submit(LocalIdentity(root).issue, "acme", "jane", HOUR) for _ in range(16)]
    tokens = [future.result() for future in issued]
    assert len({jwt.get_unverified_header(token)["kid"] for token in tokens}) == 1


def test_processes_that_start_at_once_agree(root: Path) -> None:
    code = (
        "import sys, pathlib, datetime; from livecalc.identity.local import LocalIdentity; print('ready', flush=True);"
        "sys.stdin.readline();"
        "print(LocalIdentity(pathlib.Path(sys.argv[1])).issue('acme', 'jane', datetime.timedelta(hours=1)))"
    )
    command = [sys.executable, "-c", code, str(root)]
    racing = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in racing:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in racing:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    tokens = [process.communicate(timeout=30)[0].strip() for process in racing]
    assert len({jwt.get_unverified_header(token)["kid"] for token in tokens}) == 1


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 257, "\x7f"])
def test_names_that_no_token_may_have(identity: LocalIdentity, name: str) -> None:
    with pytest.raises(InvalidInput, match="the tenant"):
        identity.issue(name, "jane", HOUR)
    with pytest.raises(InvalidInput, match="the user"):
        identity.issue("acme", name, HOUR)


def test_the_platforms_own_user(identity: LocalIdentity) -> None:
    with pytest.raises(InvalidInput, match="platform's own"):
        identity.issue("acme", "system:cleanup-worker", HOUR)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
