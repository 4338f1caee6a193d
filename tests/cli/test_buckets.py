"""Namespaces, archives, audit, cleanup and identity through the real executable, without any job."""

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess

import pytest

LiveCalc = Callable[..., CompletedProcess[str]]


def answer(livecalc: LiveCalc, *arguments: str, code: int = 0, **settings: str) -> str:
    """What a command prints; it must end as expected, and may say nothing but its target beside."""
    ended = livecalc(*arguments, **settings)
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.splitlines()[0].startswith("Target: local, ")
    return ended.stdout


def test_status_says_where_and_who(livecalc: LiveCalc, home: Path) -> None:
    shown = answer(livecalc, "status")
    assert f"Target    local, {home}" in shown
    assert "Tenant    local" in shown
    status = json.loads(answer(livecalc, "status", "--json"))
    assert (status["target"], status["tenant_id"]) == (f"local, {home}", "local")


def test_the_first_command_says_that_models_are_not_isolated(livecalc: LiveCalc) -> None:
    assert "run those you trust" in livecalc("jobs", "list", "--since", "7d").stderr
    assert livecalc("jobs", "list", "--since", "soon").stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("diagnostics list nope", "No archives in bucket nope."),
        ("diagnostics list", "No archives."),
        ("diagnostics violations --bucket nope", "No sentinel violations in bucket nope."),
        ("diagnostics verify --all", "No archives."),
        ("namespaces list", "No namespaces."),
        ("retention holds", "No holds."),
        ("jobs list --state failed --since 2026-01-25", "No jobs of that kind since 2026-01-25T00:00:00Z."),
        ("audit list", "No audit records."),
    ],
)
def test_a_list_of_nothing_says_so_beside_the_result(livecalc: LiveCalc, words: str, said: str) -> None:
    ended = livecalc(*words.split())
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.splitlines()[-1] == said
    listed = livecalc(*words.split(), "--json")
    assert (json.loads(listed.stdout), said in listed.stderr) == ([], False)


def test_an_unknown_bucket_is_called_so_by_all(livecalc: LiveCalc) -> None:
    said = {livecalc("diagnostics", word, "nope").stderr.splitlines()[-1] for word in ("show", "download", "verify")}
    assert said == {"Error: bucket 'nope' has no archive: archives are made when its namespace is reaped"}


def test_the_life_of_an_empty_bucket(livecalc: LiveCalc) -> None:
    created = json.loads(answer(livecalc, "namespaces", "create", "q4", "--json"))
    assert created["namespace"] == "livecalc-bucket-q4"
    assert "livecalc-bucket-q4  q4      active" in answer(livecalc, "namespaces", "list")
    assert "keep      idle; reap in 23h" in answer(livecalc, "cleanup", "--dry-run")
    assert "is finalized" in answer(livecalc, "namespaces", "finalize", "q4")
    planned = json.loads(answer(livecalc, "cleanup", "--dry-run", "--json"))
    assert [(each["decision"], each["reason"]) for each in planned["entries"]] == [("reap", "finalized")]

    swept = livecalc("cleanup", "--json")
    assert swept.returncode == 0
    assert " - INFO - Starting cleanup worker\n" in swept.stderr
    assert swept.stderr.endswith(" - INFO - Cleanup worker finished: 1 successful, 0 failed\n")
    assert swept.stderr.startswith("Target: local, ")
    assert json.loads(swept.stdout)["successful"] == 1
    assert "there is no namespace" in livecalc("namespaces", "show", "livecalc-bucket-q4").stderr


@pytest.fixture(scope="module")
def reaped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose bucket `q4` was made and reaped."""
    folder = tmp_path_factory.mktemp("reaped") / "home"
    for words in ("namespaces create q4", "namespaces reap q4 --json"):
        command = [sys.executable, "-m", "livecalc", *words.split()]
        ended = subprocess.run(
            command, env={**os.environ, "LIVECALC_HOME": str(folder)}, capture_output=True, check=True, timeout=60
        )
    assert json.loads(ended.stdout)["success"] is True
    return folder


def test_an_archive_is_shown_and_printed(livecalc: LiveCalc, reaped: Path, home: Path) -> None:
    shutil.copytree(reaped, home)
    timestamp = json.loads(answer(livecalc, "diagnostics", "list", "q4", "--json"))[0]["timestamp"]
    shown = answer(livecalc, "diagnostics", "show", "q4").splitlines()
    assert shown[0].split() == ["Archive", f"q4/{timestamp}", "Complete"]
    assert any("verified ✔" in line for line in shown)
    assert "Deleted   namespace gone" in shown
    assert answer(livecalc, "diagnostics", "show", "livecalc-bucket-q4").splitlines() == shown
    assert shown[-1].startswith(f"Print a blob: livecalc diagnostics cat q4/{timestamp}/")
    assert answer(livecalc, "diagnostics", "cat", f"q4/{timestamp}/sentinel-violations.json").strip() == "[]"
    assert answer(livecalc, "diagnostics", "cat", "q4/sentinel-violations.json").strip() == "[]"
    assert answer(livecalc, "diagnostics", "cat", "q4", "sentinel-violations.json").strip() == "[]"
    assert livecalc("diagnostics", "cat", "q4", "worker-1").returncode == 1
    assert json.loads(answer(livecalc, "diagnostics", "list", "--bucket", "q5", "--json")) == []
    assert livecalc("diagnostics", "list", "q4", "--bucket", "q4").returncode == 2


def test_an_archive_is_fetched_whole_and_only_once(
    livecalc: LiveCalc, reaped: Path, home: Path, tmp_path: Path
) -> None:
    shutil.copytree(reaped, home)
    fetched = json.loads(answer(livecalc, "diagnostics", "download", "q4", "-o", "archive", "--json"))
    manifest = json.loads((tmp_path / "archive" / "manifest.json").read_text())
    there = {str(path.relative_to(tmp_path / "archive")) for path in (tmp_path / "archive").rglob("*.json")}
    assert there == {*(blob["name"] for blob in manifest["blobs"]), "manifest.json"}
    listed = json.loads(answer(livecalc, "diagnostics", "list", "q4", "--json"))[0]
    verified = json.loads(answer(livecalc, "diagnostics", "verify", "q4", "--json"))
    assert fetched["whole"] == fetched["fetched"] == len(manifest["blobs"])
    assert {(each["blobs"], each["bytes"]) for each in (fetched, listed, verified)} == {
        (len(manifest["blobs"]), sum(blob["bytes"] for blob in manifest["blobs"]))
    }
    again = livecalc("diagnostics", "download", "q4", "--to", "archive", "--json")
    assert (again.returncode, json.loads(again.stdout)["fetched"]) == (0, 0)
    assert again.stderr.splitlines()[-1].endswith("  100 %")
    unnamed = livecalc("diagnostics", "download", "q4", "--to", "")
    assert unnamed.returncode == 2
    assert "'' is no folder" in unnamed.stderr
    livecalc("namespaces", "create", "q4")
    reaping = answer(livecalc, "namespaces", "reap", "q4")
    assert f"Archived {fetched['blobs']} blobs and the manifest, 0 sentinel violations: " in reaping
    other = livecalc("diagnostics", "download", "q4", "--to", "archive")
    assert (other.returncode, other.stdout) == (1, "")
    assert "holds the manifest.json of something else than q4/" in other.stderr.splitlines()[-1]


def test_a_sweep_counts_what_it_keeps_as_the_dry_run_does(livecalc: LiveCalc) -> None:
    livecalc("namespaces", "create", "q4")
    planned = json.loads(answer(livecalc, "cleanup", "--dry-run", "--json"))
    assert [each["decision"] for each in planned["entries"]] == ["keep"]
    swept = json.loads(answer(livecalc, "cleanup", "--json"))
    assert (swept["kept"], swept["successful"]) == (1, 0)


def test_a_changed_archive_is_3(livecalc: LiveCalc, reaped: Path, home: Path) -> None:
    shutil.copytree(reaped, home)
    change(home, "events.json*", b"[", b"(")
    change(home, "sentinel-violations.json*", b"[", b"(")
    ended = livecalc("diagnostics", "verify", "q4")
    assert ended.returncode == 3
    assert "events.json" in ended.stderr
    shown = livecalc("diagnostics", "show", "q4")
    assert shown.returncode == 3, shown.stderr
    assert "events.json" in shown.stderr
    assert "livecalc diagnostics verify q4/20" in shown.stderr
    printed = livecalc("diagnostics", "cat", "q4", "events.json")
    assert (printed.returncode, printed.stdout[:1]) == (3, "(")
    assert printed.stderr.splitlines()[-1].startswith("✘ what was printed is not what the manifest says of events.json")
    fetched = livecalc("diagnostics", "download", "q4", "-o", "archive")
    assert fetched.returncode == 3
    assert fetched.stderr.splitlines()[-1].startswith("✘ ")


def test_an_unreadable_manifest_is_3_with_or_without_a_timestamp(livecalc: LiveCalc, reaped: Path, home: Path) -> None:
    shutil.copytree(reaped, home)
    timestamp = json.loads(answer(livecalc, "diagnostics", "list", "q4", "--json"))[0]["timestamp"]
    change(home, "manifest.json*", b"{", b"(")
    for arguments in (["show", "q4"], ["download", "q4"]):
        ended = livecalc("diagnostics", *arguments)
        assert ended.returncode == 3, ended.stderr
        assert ended.stderr.splitlines()[-1].startswith("✘ ")
        assert "manifest" in ended.stderr
        assert "restore it from a copy" in ended.stderr
        assert "delete" not in ended.stderr
    for arguments in (["q4"], [f"q4/{timestamp}"], ["--all"]):
        ended = livecalc("diagnostics", "verify", *arguments)
        assert ended.returncode == 3, ended.stderr
        assert ended.stdout.startswith(f"✘ q4/{timestamp}: ")
        assert "  manifest.json " in ended.stderr


def test_every_archive_is_verified_and_one_that_is_gone_is_named(
    livecalc: LiveCalc, reaped: Path, home: Path, tmp_path: Path
) -> None:
    shutil.copytree(reaped, home)
    assert livecalc("diagnostics", "verify").returncode == 2
    assert livecalc("diagnostics", "verify", "q4", "--all").returncode == 2
    held = answer(livecalc, "diagnostics", "verify", "--all")
    assert held.startswith("✔ q4/")
    assert "as the manifest and the audit record say" in held
    for folder in ("diagnostics-local", ".meta/diagnostics-local"):
        shutil.move(home / "blobs" / folder / "q4", tmp_path / folder.replace("/", "-"))
    gone = livecalc("diagnostics", "verify", "--all")
    assert gone.returncode == 3
    assert "  it is gone: audit record 4 says that it was made" in gone.stderr
    [told] = json.loads(answer(livecalc, "diagnostics", "verify", "--all", "--json", code=3))
    assert (told["archive"], told["holds"]) == (held.split()[1].rstrip(":"), False)
    for name in ("q4", "livecalc-bucket-q4", told["archive"]):
        [alone] = [json.loads(answer(livecalc, "diagnostics", "verify", name, "--json", code=3))]
        assert alone == told
    assert livecalc("diagnostics", "verify", "q5").returncode == 1
    assert livecalc("diagnostics", "verify", "q4/20200101-000000").returncode == 1


def test_the_index_is_compared_and_mended(livecalc: LiveCalc, reaped: Path, home: Path) -> None:
    shutil.copytree(reaped, home)
    assert answer(livecalc, "diagnostics", "violations") == ""
    assert json.loads(answer(livecalc, "diagnostics", "violations", "--since", "7d", "--bucket", "q4", "--json")) == []
    assert answer(livecalc, "diagnostics", "reindex", "--check").startswith(
        "✔ 1 archive, none with violations: the index"
    )
    put(home, "sentinel-violations.json", VIOLATED)
    found = livecalc("diagnostics", "reindex", "--check")
    assert found.returncode == 3
    assert (
        "✘ 1 archive, 1 of them with 1 violation: the index is not equal to them; entries: 0 right, 1 missing"
        in found.stdout
    )
    assert "  q4/20" in found.stderr
    assert "equal to them now; entries before: 0 right, 1 missing" in answer(livecalc, "diagnostics", "reindex")
    told = json.loads(answer(livecalc, "diagnostics", "reindex", "--check", "--json"))
    assert (told["equal"], told["right"]) == (True, 1)
    assert answer(livecalc, "diagnostics", "violations").splitlines()[1].split()[-4:] == ["w", "7", "0xAB", "0x00"]


def test_audit_is_listed_newest_first_and_verified(livecalc: LiveCalc, reaped: Path, home: Path) -> None:
    shutil.copytree(reaped, home)
    records = json.loads(answer(livecalc, "audit", "list", "--json"))
    assert [record["operation"] for record in records] == ["reap"] * 2 + ["create-namespace"] * 2
    head = records[0]["hash"]
    assert answer(livecalc, "audit", "verify", "--head", head).startswith("✔ 4 records")
    assert answer(livecalc, "audit", "verify", "--head", "0" * 64, code=3).startswith("✘ ")
    mistyped = answer(livecalc, "audit", "verify", "--head", f"3:{head}", code=3)
    assert mistyped.startswith(
        f"✘ the record does not hold: the head given, 3:{head[:38]}, is not in it (record 3 has "
    )
    assert "it may be mistyped" in mistyped
    change(home, "000000000002", b"create-namespace", b"delete-namespace")
    assert "record 2" in answer(livecalc, "audit", "verify", code=3)


def change(home: Path, name: str, before: bytes, after: bytes) -> None:
    """Change a stored blob behind the platform's back."""
    for stored in home.rglob(name):
        if stored.is_file() and before in stored.read_bytes():
            stored.chmod(0o600)
            stored.write_bytes(stored.read_bytes().replace(before, after))


def put(home: Path, name: str, content: bytes) -> None:
    """Give a stored blob other bytes, and its record what is noted of them."""
    [record] = (home / "blobs" / ".meta").rglob(f"{name}%.json")
    told = json.loads(record.read_bytes()) | {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    blob = home / "blobs" / record.relative_to(home / "blobs" / ".meta").with_name(name)
    for path, raw in ((record, json.dumps(told).encode()), (blob, content)):
        path.chmod(0o600)
        path.write_bytes(raw)


VIOLATED = b"""[{"pod": "w", "timestamp": "2026-01-26T01:05:11Z",
 "violations": [{"offset": 7, "expected": "0xAB", "actual": "0x00"}]}]"""
MISSING = (
    ["namespaces", "show", "nope"],
    ["diagnostics", "show", "nope"],
    ["jobs", "show", "j-01jdx4"],
    ["mttc", "verify", "j-01jdx4m8k3q7"],
    ["submit", "7c1e0b94d2aa", "--bucket", "q4"],
)


def test_what_is_not_there_is_one_line_and_1(livecalc: LiveCalc) -> None:
    with ThreadPoolExecutor(4) as threads:
        for ended in [each.result() for each in [threads.submit(livecalc, *arguments) for arguments in MISSING]]:
            assert ended.returncode == 1, ended
            assert ended.stdout == ""
            assert ended.stderr.splitlines()[-1].startswith("Error: ")
            assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "words",
    ["list --bucket Ü", "list Ü", "violations --bucket Ü", "show Ü", "verify Ü"],
)
def test_what_is_no_bucket_id_is_2_and_the_rule(livecalc: LiveCalc, words: str) -> None:
    ended = livecalc("diagnostics", *words.split())
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1].startswith("Error: bucket id 'Ü' is not valid: use 1 to 47 of a-z")


@pytest.mark.parametrize("words", [["show", ""], ["verify", ""], ["download", "q4/"], ["list", ""], ["cat", "", "x"]])
def test_an_empty_name_is_one_sentence_and_2(livecalc: LiveCalc, words: list[str]) -> None:
    ended = livecalc("diagnostics", *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Error: " in ended.stderr.splitlines()[-1]
    assert any(each in ended.stderr for each in ("names no archive: give BUCKET", "bucket id '' is not valid"))


class _Mute(BaseHTTPRequestHandler):
    """A platform that takes requests and answers them when the test is over."""

    asked = threading.Event()
    over = threading.Event()

    def do_GET(self) -> None:
        if "diagnostics" in self.path:
            self.asked.set()
            self.over.wait(60)
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (http.server's names)
        del format, args


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("download", "Interrupted; the same command goes on where it stopped."),
        ("verify", "Interrupted; the same command verifies from the beginning."),
    ],
)
def test_ctrl_c_is_told_and_130(environment: dict[str, str], command: str, sentence: str) -> None:
    class Mute(_Mute):
        asked = threading.Event()
        over = threading.Event()

    with ThreadingHTTPServer(("127.0.0.1", 0), Mute) as server, ThreadPoolExecutor(1) as threads:
        serving = threads.submit(server.serve_forever, 0.05)
        settings = {"LIVECALC_URL": f"http://127.0.0.1:{server.server_port}", "LIVECALC_TOKEN": "a.b.c"}
        with subprocess.Popen(
            [sys.executable, "-m", "livecalc", "diagnostics", command, "q4/20260126-010504"],
            env={**environment, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert Mute.asked.wait(60)
            process.send_signal(signal.SIGINT)
            printed, told = process.communicate(timeout=60)
        Mute.over.set()
        server.shutdown()
        serving.result(60)
    assert (process.returncode, printed) == (130, "")
    assert told.splitlines()[-1] == sentence


def test_a_bad_id_is_2(livecalc: LiveCalc) -> None:
    ended = livecalc("namespaces", "create", "UPPER")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("Error: bucket id 'UPPER' is not valid")


def test_a_token_is_printed_alone_and_is_the_tenant(livecalc: LiveCalc) -> None:
    ended = livecalc("token", "--tenant", "acme", "--user", "ana")
    assert ended.returncode == 0
    assert ended.stderr == ""
    token = ended.stdout.strip()
    assert token.count(".") == 2
    assert ended.stdout == token + "\n"
    seen = livecalc("status", LIVECALC_TOKEN=token)
    assert "tenant acme" in seen.stderr
    assert "User      ana" in seen.stdout


def test_a_token_ends_when_it_is_told_to(livecalc: LiveCalc) -> None:
    for ttl, seconds in (("2h", 7200), ("90", 90), ("30d", 30 * 86_400)):
        claims = livecalc("token", "--ttl", ttl).stdout.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        assert found["exp"] - found["iat"] == seconds


@pytest.mark.parametrize("ttl", ["0", "0.5s", "31d", "99999999999999999999", "9" * 400, "soon", "-5"])
def test_a_token_that_lasts_too_long_or_not_at_all_is_refused(livecalc: LiveCalc, ttl: str) -> None:
    ended = livecalc("token", f"--ttl={ttl}")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Error: --ttl ")
    assert ended.stderr.count("\n") == 1


def test_a_server_without_a_token_is_4(livecalc: LiveCalc) -> None:
    ended = livecalc("status", LIVECALC_URL="http://127.0.0.1:9")
    assert (ended.returncode, ended.stdout) == (4, "")
    assert "needs a token: set LIVECALC_TOKEN" in ended.stderr.splitlines()[-1]


def test_a_bad_token_is_4(livecalc: LiveCalc) -> None:
    ended = livecalc("jobs", "list", LIVECALC_TOKEN="nonsense")  # noqa: S106  (that it is none is the point)
    assert ended.returncode == 4, ended.stderr
    assert ended.stdout == ""
    assert "nonsense" not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("Error: ")


def test_a_server_that_is_not_there_is_named(livecalc: LiveCalc) -> None:
    nobody = {"LIVECALC_URL": "http://127.0.0.1:9", "LIVECALC_TOKEN": "a.b.c"}
    ended = livecalc("jobs", "list", **nobody)
    assert ended.returncode == 1
    assert "http://127.0.0.1:9" in ended.stderr.splitlines()[-1]
