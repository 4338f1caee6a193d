"""Workers whose log overflows, whose reader, disk or life is taken away: the copy stays true, and nothing is left."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.models import write_model
from support.pods import MEBIBYTE, Job, Pod, check_log, submit
from support.processes import processes_with, until

from livecalc.domain.errors import NotFound
from livecalc.domain.jobs import JobState

pytestmark = pytest.mark.anyio

PLAIN = """
def main(block):
    print(f"block {block.first}")
    return block.normals(1)[:, 0]
"""


async def test_a_log_over_its_limit_is_cut_in_both_places_alike(tmp_path: Path) -> None:
    code = """
    def main(block):
        for number in range(100):
            print(f"{number:099d}")
        return np.zeros(len(block))
    """
    job = await submit(tmp_path, write_model(tmp_path / "model", code, count=40), limits={"log_bytes": 5007})
    pod = job.start()
    assert pod.wait() == 0
    assert pod.statement.log_truncated
    lines = (await check_log(job, pod)).splitlines()
    assert lines[2:52] == [f"{number:099d}" for number in range(50)]
    assert lines[52] == "0" * 7
    assert lines[53] == "livecalc: the log is cut here, at its limit of 5,007 bytes; the model goes on"
    assert lines[54].startswith("livecalc: succeeded after ")
    assert lines[55:] == ["livecalc: the log was cut: the model printed 10,000 bytes, the first 5,007 are kept"]


async def test_output_of_any_bytes_is_kept_as_it_is(tmp_path: Path) -> None:
    code = r"""
    def main(block):
        print("üñí €")
        sys.stdout.buffer.write(b"\x00\xff\r\n\xfe no newline")
        sys.stdout.buffer.flush()
        print("\ud800", file=sys.stderr, end="")
        return np.zeros(len(block))
    """
    job = await submit(tmp_path, write_model(tmp_path / "model", code, count=40))
    pod = job.start()
    assert pod.wait() == 0
    await check_log(job, pod)
    assert (
        b"\xc3\xbc\xc3\xb1\xc3\xad \xe2\x82\xac\n\x00\xff\r\n\xfe no newline\\ud800\nlivecalc: succeeded" in pod.stdout
    )


async def test_a_reader_that_goes_away_does_not_end_the_work(tmp_path: Path) -> None:
    code = """
    def main(block):
        for _ in range(1000): print("x" * 1000)
        return np.zeros(len(block))
    """
    job = await submit(tmp_path, write_model(tmp_path / "model", code, count=40))
    pod = job.start(pipe=True)
    assert pod.process.stdout is not None
    pod.process.stdout.read(100)
    pod.process.stdout.close()
    assert pod.wait() == 0
    assert (await job.log()).count(b"x") >= 10**6


async def hanging(tmp_path: Path) -> tuple[Job, Pod]:
    """A worker whose model hangs with a child of its own, and has said so."""
    code = f"""
    def main(block):
        if block.first == 0:
            return np.zeros(len(block))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(["sleep", "86422"], start_new_session=True)
        print("hanging")
        open({str(tmp_path / "ready")!r}, "w").close()
        while True: time.sleep(1)
    """
    job = await submit(tmp_path, write_model(tmp_path / "model", code))
    pod = job.start()
    until((tmp_path / "ready").exists)
    return job, pod


async def test_sigterm_ends_all_and_keeps_the_log(tmp_path: Path) -> None:
    job, pod = await hanging(tmp_path)
    pod.process.terminate()
    assert pod.wait() == 143
    assert (pod.statement.state, pod.statement.error) == ("interrupted", "stopped before it was done")
    assert "hanging\nlivecalc: interrupted after " in await check_log(job, pod)
    assert pod.annotations[-1]["livecalc.io/progress"] == "40/80"
    assert processes_with(str(tmp_path)) == []
    with pytest.raises(NotFound):
        await job.record()


async def test_a_killed_worker_leaves_no_process(tmp_path: Path) -> None:
    _, pod = await hanging(tmp_path)
    pod.process.send_signal(signal.SIGKILL)
    assert pod.wait() == -9
    until(lambda: not processes_with(str(tmp_path)))
    assert processes_with("sleep\00086422") == []


async def test_sigterm_before_the_model_runs(tmp_path: Path) -> None:
    job = await submit(tmp_path, write_model(tmp_path / "model", PLAIN))
    pod = job.start()
    until(lambda: processes_with(str(pod.folder / "scratch" / "worker-")))
    pod.process.terminate()
    assert pod.wait() in {143, 0}
    assert processes_with(str(tmp_path)) == []


async def test_a_log_that_its_disk_refuses_does_not_end_the_work(tmp_path: Path) -> None:
    code = """
    def main(block):
        for _ in range(1000): print("x" * 10000)
        return np.zeros(len(block))
    """
    job = await submit(tmp_path, write_model(tmp_path / "model", code, count=40))
    pod = job.start(file_limit=MEBIBYTE, pipe=True)
    out, _ = pod.process.communicate(timeout=60)
    assert (pod.process.returncode, pod.statement.state) == (0, "succeeded")
    assert (await job.record()).state is JobState.SUCCEEDED
    copy = await check_copy(job, pod)
    assert copy.splitlines()[-1] == b"livecalc: the copy of the log ends here: File too large"
    kept = copy.removesuffix(b"\nlivecalc: the copy of the log ends here: File too large\n")
    assert len(kept) == MEBIBYTE // 2
    assert out.startswith(kept)
    assert out.count(b"x" * 10_000 + b"\n") == 1000
    assert processes_with(str(tmp_path)) == []


async def check_copy(job: Job, pod: Pod) -> bytes:
    """Check that the stored copy is what the statement says of it, and that it is cut because of the disk."""
    copy, statement = await job.log(), pod.statement
    assert (statement.log_bytes, statement.log_sha256) == (len(copy), hashlib.sha256(copy).hexdigest())
    assert (statement.log_attempt, statement.log_truncated, statement.log_refused) == (0, True, True)
    return copy


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `narrow_pod.py` tells of workers on disks that their logs fill."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    folder = tmp_path_factory.mktemp("narrow")
    command = [*unshare, sys.executable, str(Path(__file__).with_name("narrow_pod.py")), str(folder)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
    if done.returncode != 0:
        needed = "this test needs `unshare --mount` (util-linux) and the right to mount a tmpfs: run it as root"
        pytest.fail(f"{needed}\n{done.stderr}")
    return json.loads(done.stdout)


def test_a_log_that_fills_the_disk_is_cut_and_the_result_stays(narrow: dict[str, Any]) -> None:
    told = narrow["floods"]
    assert (told["code"], told["state"], told["record"]) == (0, "succeeded", "succeeded")
    assert (told["truncated"], told["refused"], told["stated"]) == (True, True, True)
    assert told["last"] == "livecalc: the copy of the log ends here: No space left on device"
    assert told["kept"] > 1 << 20


def test_a_result_that_needs_the_logs_room_gets_it(narrow: dict[str, Any]) -> None:
    told = narrow["large_result"]
    assert (told["code"], told["state"], told["record"]) == (0, "succeeded", "succeeded")
    assert (told["refused"], told["stated"]) == (True, True)
    because = "No space left on device, and the result needed the room"
    assert told["last"] == f"livecalc: the copy of the log ends here: {because}"


def test_a_disk_that_another_has_filled_loses_no_log(narrow: dict[str, Any]) -> None:
    told = narrow["no_room_at_all"]
    assert (told["code"], told["state"], told["record"]) == (1, "interrupted", None)
    assert "No space left on device" in told["error"]
    assert told["stated"]
    assert "the model was here" in told["text"]
