"""Jobs through the real executable: submit, watch, read, cancel, recompute, in and out of their namespace's life."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

ipc: Any = import_module("pyarrow.ipc")  # it has no types
LiveCalc = Callable[..., CompletedProcess[str]]
Tiny = Callable[..., str]
HANGS = "import time\nprint('waiting', flush=True)\ntime.sleep(600)"


def submitted(livecalc: LiveCalc, model: str, *options: str, code: int = 0) -> dict[str, object]:
    """Submit a model, wait for its end, and return the job."""
    ended = livecalc("submit", model, "--bucket", "q4", "--wait", "--json", *options)
    assert ended.returncode == code, ended.stderr
    job: dict[str, object] = json.loads(ended.stdout)
    return job


@pytest.fixture
def waiting(livecalc: LiveCalc, tiny: Tiny) -> str:
    """A job that computes until it is cancelled."""
    ended = livecalc("submit", tiny(HANGS), "--bucket", "q4", "--json")
    assert ended.returncode == 0, ended.stderr
    job: str = json.loads(ended.stdout)["job_id"]
    return job


def test_a_job_from_submit_to_result(livecalc: LiveCalc, tiny: Tiny, tmp_path: Path) -> None:
    model = tiny()
    job = submitted(livecalc, model, "--name", "first", "--label", "basis=best-estimate", "--partitions", "2")
    assert (job["state"], job["name"], job["labels"]) == ("succeeded", "first", {"basis": "best-estimate"})
    job_id, result_hash = str(job["job_id"]), str(job["result_hash"])
    assert json.loads(livecalc("run", model, "--json").stdout)["result_hash"] == result_hash

    listed = livecalc("jobs", "list", "--label", "basis=best-estimate").stdout.splitlines()
    assert listed[1].split()[:6] == [job_id, "q4", "first", "succeeded", "80/80", result_hash[:12]]
    shown = livecalc("jobs", "show", job_id[:10]).stdout
    assert shown.startswith(f"Job        {job_id}   succeeded   (")
    assert re.search(r"^Scenarios  80/80 in 10 blocks of 8, seed 1$", shown, re.MULTILINE)
    summary = json.loads(livecalc("jobs", "result", job_id, "--json").stdout)
    assert 0 < summary["outputs"][0]["mean"] < 1

    for name in ("out.arrow", "out.feather"):
        assert livecalc("jobs", "result", job_id, "-o", name).returncode == 0
        with ipc.open_file(str(tmp_path / name)) as reader:
            assert reader.read_all().num_rows == 80
    nowhere = livecalc("jobs", "result", job_id, "-o", "nosuch/r.csv")
    assert nowhere.returncode == 1
    assert nowhere.stderr.endswith("Error: nosuch/r.csv: No such file or directory\n")
    saved = livecalc("jobs", "result", job_id, "-o", "out.csv")
    assert saved.returncode == 0, saved.stderr
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["scenario"] for row in rows] == [str(number) for number in range(80)]
    mean = sum(float(row["out"]) for row in rows) / 80
    assert mean == pytest.approx(summary["outputs"][0]["mean"], rel=1e-12)


def test_a_failed_job_is_1_says_why_and_keeps_its_log(livecalc: LiveCalc, tiny: Tiny) -> None:
    model = tiny("print('so far so good')\nraise ValueError('no premium today')")
    ended = livecalc("submit", model, "--bucket", "q4", "--wait")
    assert ended.returncode == 1
    assert ended.stdout.startswith("✘ Failed: ")
    assert "no premium today" in ended.stdout
    failed = json.loads(livecalc("jobs", "list", "--state", "failed", "--json").stdout)
    assert len(failed) == 1
    assert "no premium today" in livecalc("jobs", "show", failed[0]["job_id"]).stdout
    assert "so far so good" in livecalc("jobs", "logs", failed[0]["job_id"]).stdout
    refused = livecalc("jobs", "result", failed[0]["job_id"])
    assert (refused.returncode, refused.stdout) == (1, "")


def test_cancel_stops_and_watch_then_ends(livecalc: LiveCalc, waiting: str) -> None:
    assert livecalc("jobs", "cancel", waiting[:9]).stdout == f"Job {waiting} is cancelled\n"
    watched = livecalc("jobs", "watch", waiting)
    assert watched.returncode == 1
    assert watched.stdout == "✘ Cancelled\n"


def test_ctrl_c_detaches_and_finalize_names_the_job_that_goes_on(
    livecalc: LiveCalc, waiting: str, environment: dict[str, str]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "livecalc", "jobs", "watch", waiting],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any("0/80 scenarios" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) == 130
    assert f"livecalc jobs watch {waiting}" in said
    assert "Traceback" not in said
    refused = livecalc("namespaces", "finalize", "q4")
    assert refused.returncode == 1
    assert waiting in refused.stderr
    assert "--force" in refused.stderr
    forced = livecalc("namespaces", "finalize", "q4", "--force", "--json")
    assert json.loads(forced.stdout)["status"] == "finalized"
    late = livecalc("submit", "starter", "--bucket", "q4")
    assert late.returncode == 1
    assert "Error: " in late.stderr


def test_the_summary_of_a_wait_and_what_is_there_after_the_reap(livecalc: LiveCalc, tiny: Tiny) -> None:
    model = tiny("print('hello')\nreturn block.uniforms(1)[:, 0]")
    ended = livecalc("submit", model, "--bucket", "q4", "--wait")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("✔ Succeeded in ")
    assert "\nout" in ended.stdout
    assert "80/80 scenarios  100 %" in ended.stderr
    assert ended.stderr.startswith("Target: local, ")
    job_id = re.findall(r"j-[0-9a-z]{12}", ended.stderr)[0]

    assert livecalc("namespaces", "reap", "q4").returncode == 0  # at once: an ended job keeps nothing alive
    assert "namespace reaped 20" in livecalc("jobs", "show", job_id).stdout
    assert "hello" in livecalc("jobs", "logs", job_id).stdout
    shown = livecalc("diagnostics", "show", "q4").stdout
    assert f"Jobs      {job_id} succeeded" in shown
    assert re.search(r"^j-\S+  main +complete +\d+ B  [0-9a-f]{12}$", shown, re.MULTILINE)


def test_mttc_verify_holds_unless_late_or_a_stored_byte_changes(livecalc: LiveCalc, tiny: Tiny, home: Path) -> None:
    job = submitted(livecalc, tiny())
    job_id = str(job["job_id"])
    latest = livecalc("mttc", "verify", "--bucket", "q4", "--bundle", str(job["model_bundle_hash"])[:8])
    assert latest.returncode == 0, latest.stderr
    assert "✔ MATCH in " in latest.stdout
    late = livecalc("mttc", "verify", job_id[:9], "--json", MTTC_TARGET_SECONDS="0.001")
    assert late.returncode == 3
    assert (json.loads(late.stdout)["match"], json.loads(late.stdout)["success"]) == (True, False)
    assert "Recompute  matched 20" in livecalc("jobs", "show", job_id).stdout

    stored = next(path for path in home.glob(f"blobs/**/jobs/{job_id}/partitions/*") if path.stat().st_size > 500)
    data = bytearray(stored.read_bytes())
    place = data.rindex(b"\x93NUMPY") + 200
    data[place] ^= 1
    stored.chmod(0o600)
    stored.write_bytes(data)
    differs = livecalc("mttc", "verify", job_id)
    assert differs.returncode == 3, differs.stderr
    assert "✘ MISMATCH in " in differs.stdout
    assert "the original's stored result is damaged" in differs.stdout
    assert "First difference" not in differs.stdout


def test_binary_results_need_a_file_on_a_terminal_and_a_format(livecalc: LiveCalc) -> None:
    assert livecalc("jobs", "result", "j-01jdx4m8k3q7", "-o", "out.xlsx").returncode == 2
    assert livecalc("jobs", "result", "j-01jdx4m8k3q7", "--format", "csv", "--json").returncode == 2


def test_the_server_answers_the_same_commands(
    livecalc: LiveCalc, tiny: Tiny, environment: dict[str, str], tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "livecalc", "serve", "--port", "0"],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        line = next(line for line in server.stderr if "http://" in line)
        url = line[line.index("http://") :].partition(";")[0].strip()
        token = livecalc("token", "--tenant", "acme", "--user", "ana").stdout.strip()
        there = {"LIVECALC_URL": url, "LIVECALC_TOKEN": token}
        ended = livecalc("submit", tiny(), "--bucket", "q4", "--wait", "--json", **there)
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr.startswith(f"Target: {url}, tenant acme\n")
        job = json.loads(ended.stdout)
        assert job["user_id"] == "ana"
        assert json.loads(livecalc("jobs", "list", "--json", **there).stdout)[0]["job_id"] == job["job_id"]
        assert json.loads(livecalc("jobs", "list", "--json").stdout) == []
        server.send_signal(signal.SIGTERM)
        began = time.monotonic()
        server.stderr.read()
        assert server.wait(60) == 0
        assert time.monotonic() - began < 20
