"""File tools: bundles are made, inspected and verified, and models are run, without any platform."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

LiveCalc = Callable[..., CompletedProcess[str]]


@pytest.fixture
def model(livecalc: LiveCalc, tmp_path: Path) -> Path:
    """A new model, as `bundle init` makes it."""
    made = livecalc("bundle", "init", "my-model")
    assert made.returncode == 0, made.stderr
    return tmp_path / "my-model"


def test_a_new_model_runs_and_packs_as_it_is(livecalc: LiveCalc, model: Path, tmp_path: Path, home: Path) -> None:
    packed = livecalc("bundle", "pack", "my-model", "--json")
    assert packed.returncode == 0, packed.stderr
    bundle = json.loads(packed.stdout)
    assert bundle["config"]["name"] == "my-model"
    assert (tmp_path / bundle["path"]).stat().st_size == bundle["size"]
    verified = livecalc("bundle", "verify", bundle["path"], "--json")
    assert verified.returncode == 0
    assert json.loads(verified.stdout)["model_bundle_hash"] == bundle["model_bundle_hash"]
    assert model.is_dir()
    assert not home.exists()


def test_inspect_tells_what_is_computed_from_what(livecalc: LiveCalc) -> None:
    shown = livecalc("bundle", "inspect", "term-life")
    assert shown.returncode == 0, shown.stderr
    assert "Model      term-life v1" in shown.stdout
    assert "1,000 in 25 blocks of 40, seed 42" in shown.stdout
    assert "bus://results/npv" in shown.stdout
    assert "FILE" in shown.stdout


def test_a_refused_bundle_is_a_check_that_does_not_hold(livecalc: LiveCalc, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("../outside", b"")
    refused = livecalc("bundle", "verify", "bad.zip")
    assert refused.returncode == 3
    assert "../outside" in refused.stdout
    told = livecalc("bundle", "verify", "bad.zip", "--json")
    assert told.returncode == 3
    assert json.loads(told.stdout)["holds"] is False
    assert livecalc("bundle", "inspect", "bad.zip").returncode == 2


def test_what_is_no_model_is_said_in_one_line(livecalc: LiveCalc) -> None:
    for command in (["run", "nothing"], ["bundle", "pack", "nothing"], ["bundle", "inspect", "nothing"]):
        ended = livecalc(*command)
        assert ended.returncode == 1
        assert ended.stderr.startswith("Error: ")
        assert "'nothing'" in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_init_never_overwrites(livecalc: LiveCalc, model: Path) -> None:
    again = livecalc("bundle", "init", model.name)
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_a_run_shows_progress_beside_and_figures_on_standard_output(livecalc: LiveCalc, home: Path) -> None:
    ran = livecalc("run", "starter", "--scenarios", "80")
    assert ran.returncode == 0, ran.stderr
    assert "80/80 scenarios  100 %" in ran.stderr
    assert ran.stdout.startswith("✔ Computed starter v1 in ")
    assert "OUTPUT" in ran.stdout
    assert not home.exists()


def test_a_run_gives_the_same_hash_from_folder_and_file(livecalc: LiveCalc, model: Path) -> None:
    assert livecalc("bundle", "pack", model.name, "-o", "model.zip").returncode == 0
    runs = [json.loads(livecalc("run", source, "--json").stdout) for source in (model.name, "model.zip")]
    assert runs[0]["result_hash"] == runs[1]["result_hash"]
    assert runs[0]["scenarios"] == runs[0]["outputs"][0]["count"]


def test_a_model_that_fails_says_why(livecalc: LiveCalc, tiny: Callable[..., str]) -> None:
    ended = livecalc("run", tiny("print('about to fail')\nraise ValueError('no premium today')"))
    assert ended.returncode == 1
    assert "about to fail" in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert "no premium today" in last
    assert ended.stdout == ""


def test_one_partition_that_fails_stops_the_others(livecalc: LiveCalc, tiny: Callable[..., str]) -> None:
    # Where there is one core there are no others.
    body = """
import os, time
if block.first:
    raise ValueError('no premium')
if len(os.sched_getaffinity(0)) > 1:
    time.sleep(600)
return block.uniforms(1)[:, 0]
"""
    ended = livecalc("run", tiny(body))
    assert ended.returncode == 1
    assert "no premium" in ended.stderr.splitlines()[-1]


def test_a_run_takes_the_cores_that_it_may_use(
    tiny: Callable[..., str], environment: dict[str, str], tmp_path: Path
) -> None:
    model = tiny("import os\nprint('engine', os.getpid(), flush=True)\nreturn block.uniforms(1)[:, 0]")
    core = min(os.sched_getaffinity(0))
    pinned = f"import os, runpy; os.sched_setaffinity(0, {{{core}}}); runpy.run_module('livecalc', run_name='__main__')"
    ended = subprocess.run(
        [sys.executable, "-c", pinned, "run", model],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert len({line for line in ended.stderr.splitlines() if line.startswith("engine ")}) == 1


def test_a_model_whose_dtype_changes_fails(livecalc: LiveCalc, tiny: Callable[..., str]) -> None:
    ended = livecalc("run", tiny("return block.uniforms(1)[:, 0].astype('f4' if block.first >= 40 else 'f8')"))
    assert ended.returncode == 1
    assert "<f4" in ended.stderr.splitlines()[-1] or "float32" in ended.stderr.splitlines()[-1]


def test_ctrl_c_ends_a_run_and_its_processes(
    tiny: Callable[..., str], environment: dict[str, str], tmp_path: Path
) -> None:
    hangs = "import os, time\nprint('hanging', os.getpid(), flush=True)\ntime.sleep(600)"
    with subprocess.Popen(
        [sys.executable, "-m", "livecalc", "run", tiny(hangs)],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        pid = next(int(line.split()[1]) for line in process.stderr if line.startswith("hanging"))
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.stderr.read()
        assert process.wait(60) == 130
    assert not Path(f"/proc/{pid}").exists()
