"""`livecalc.connect()`: the platform in this process, or a server, and what is said when neither can be had."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.bundles import model_files, write_folder

import livecalc
from livecalc.bootstrap.service import local_token
from livecalc.domain.errors import InvalidInput, LivecalcError, Unauthenticated, Unavailable
from livecalc.settings import load


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("LIVECALC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LIVECALC_HOME", str(tmp_path / "home"))


def test_a_folder_to_a_result_in_one_line(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", model_files())
    with livecalc.connect() as calc:
        assert calc.submit(folder, bucket="q4").wait().result("total").to_numpy().shape == (16,)
        pushed = calc.push(folder)
        assert calc.push(str(folder)) == pushed
        assert calc.resolve_bundle(pushed.model_bundle_hash[:8]) == pushed.model_bundle_hash


def test_whose_home_and_who(tmp_path: Path) -> None:
    other = tmp_path / "other"
    with livecalc.connect(home=other, tenant="acme", user="zoe") as calc:
        assert calc.target == f"local, {other}"
        assert repr(calc) == f"<livecalc client of local, {other}>"
        status = calc.status()
        assert (status.tenant_id, status.user_id, status.store) == ("acme", "zoe", str(other / "blobs"))
    assert not (tmp_path / "home").exists()
    with livecalc.connect() as calc:
        assert calc.status().tenant_id == "local"


def test_tenants_of_one_home_do_not_meet() -> None:
    with livecalc.connect(tenant="a") as first, livecalc.connect(tenant="b") as second:
        first.create_namespace("mine")
        assert [each.bucket_id for each in first.namespaces()] == ["mine"]
        assert second.namespaces() == []


def test_a_token_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    token = local_token(load(), tenant="env", user="ci")
    monkeypatch.setenv("LIVECALC_TOKEN", token)
    with livecalc.connect() as calc:
        assert calc.status().tenant_id == "env"
    with livecalc.connect(tenant="other") as calc:
        assert calc.status().tenant_id == "other"
    with livecalc.connect(token="x.y.z") as calc, pytest.raises(Unauthenticated):  # noqa: S106  (none that anyone would take)
        calc.status()
    monkeypatch.delenv("LIVECALC_TOKEN")
    (tmp_path / "token").write_text(token + "\n")
    monkeypatch.setenv("LIVECALC_TOKEN_FILE", str(tmp_path / "token"))
    with livecalc.connect() as calc:
        assert calc.status().user_id == "ci"
    monkeypatch.delenv("LIVECALC_TOKEN_FILE")
    monkeypatch.setenv("LIVECALC_TOKEN_COMMAND", f"cat '{tmp_path / 'token'}'")
    with livecalc.connect() as calc:
        assert calc.status().user_id == "ci"


def test_a_server_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVECALC_URL", "http://127.0.0.1:9")
    with pytest.raises(Unauthenticated, match="needs a token: set LIVECALC_TOKEN"):
        livecalc.connect()
    with pytest.raises(InvalidInput, match="leave them out for a server"):
        livecalc.connect(tenant="acme", token="x")  # noqa: S106  (never sent)
    with livecalc.connect(token="x") as calc:  # noqa: S106  (never sent: nobody listens)
        assert calc.target == "http://127.0.0.1:9"
        with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:9 cannot be reached"):
            calc.status()


def test_a_home_wins_over_the_environments_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIVECALC_URL", "http://127.0.0.1:9")
    with livecalc.connect(home=tmp_path / "here") as calc:
        assert calc.status().cluster == "local"
    with pytest.raises(InvalidInput, match="contradict"):
        livecalc.connect("http://127.0.0.1:9", home=tmp_path)


@pytest.mark.parametrize("url", ["ftp://x", "calc.example", "http://", "http://user:secret@x", "http://[::1", "\x00"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        livecalc.connect(url, token="x")  # noqa: S106  (never sent)
    assert "secret" not in caught.value.detail


def test_a_home_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before = threading.active_count()
    with pytest.raises(LivecalcError, match="cannot be used"):
        livecalc.connect(home=tmp_path / "file")
    assert threading.active_count() == before


def test_what_is_closed_stays_closed() -> None:
    calc = livecalc.connect()
    calc.status()
    calc.close()
    calc.close()
    with pytest.raises(Unavailable, match="is closed"):
        calc.status()


def run(script: str, home: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LIVECALC_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, env=env, check=False
    )


def test_a_notebook_that_closes_nothing_ends_without_a_word(tmp_path: Path) -> None:
    script = "import livecalc; calc = livecalc.connect(); calc.create_namespace('b1'); print(len(calc.namespaces()))"
    done = run(script, tmp_path / "home")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_importing_livecalc_loads_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys, livecalc, livecalc.embedded\n"
        "print([name for name in ('httpx', 'starlette', 'msgspec', 'numpy', 'asyncio', 'jwt') if name in sys.modules])"
    )
    assert run(script, tmp_path).stdout == "[]\n"


def test_a_light_command_loads_no_arrays(tmp_path: Path) -> None:
    script = (
        "import sys, livecalc\n"
        "with livecalc.connect() as calc: calc.jobs()\n"
        "print([name for name in ('numpy', 'pyarrow', 'pandas', 'uvicorn') if name in sys.modules])"
    )
    assert run(script, tmp_path / "home").stdout == "[]\n"
