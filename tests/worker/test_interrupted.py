"""Workers whose log overflows, whose reader, disk or life is taken away: the copy stays true, and nothing is left."""

import signal
from pathlib import Path

import pytest
from support.models import write_model
from support.pods import MEBIBYTE, Job, Pod, check_log, submit
from support.processes import processes_with, until

from livecalc.domain.errors import NotFound

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


async def test_a_full_disk_may_be_tried_again(tmp_path: Path) -> None:
    code = """
    def main(block):
        for _ in range(1000): print("x" * 10000)
        return np.zeros(len(block))
    """
    job = await submit(tmp_path, write_model(tmp_path / "model", code))
    pod = job.start(file_limit=MEBIBYTE, pipe=True)
    out, _ = pod.process.communicate(timeout=60)
    assert pod.process.returncode == 1
    assert pod.statement.state == "interrupted"
    assert "File too large" in (pod.statement.error or "")
    assert out.endswith(f"livecalc: {pod.statement.error}\n".encode())
    assert processes_with(str(tmp_path)) == []
