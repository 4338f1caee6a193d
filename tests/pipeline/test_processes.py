"""Models that hang, fork, kill or hide: they end when they must, and nothing of them is left running."""

import resource
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.models import write_model
from support.processes import processes_with, until

from livecalc.pipeline.interrupt import Interrupt


@contextmanager
def interrupted_when(ready: Path) -> Generator[Interrupt]:
    """An interrupt that is set once a file is there, as a deadline would from outside."""
    interrupt = Interrupt()

    def wait() -> None:
        until(ready.exists)
        interrupt.set()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield interrupt
    finally:
        thread.join()
        interrupt.close()


def test_a_killed_process_is_not_the_models_fault_for_certain(tmp_path: Path) -> None:
    code = """
    def main(block):
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run = write_model(tmp_path / "model", code).run(tmp_path / "scratch")
    assert run.outcome.state == "lost"
    assert "killed (SIGKILL)" in (run.outcome.error or "")


def test_killing_the_guard_leaves_nothing(tmp_path: Path) -> None:
    code = """
    def main(block):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1000)
    """
    run = write_model(tmp_path / "model", code).run(tmp_path / "scratch")
    assert run.outcome.state == "lost"
    until(lambda: not processes_with(str(tmp_path)))


def test_a_hanging_model_is_ended_on_request(tmp_path: Path) -> None:
    code = f"""
    def main(block):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open({str(tmp_path / "ready")!r}, "w").close()
        while True: pass
    """
    model = write_model(tmp_path / "model", code)
    with interrupted_when(tmp_path / "ready") as interrupt:
        started = time.monotonic()
        run = model.run(tmp_path / "scratch", interrupt=interrupt)
    assert run.outcome.state == "interrupted"
    assert time.monotonic() - started < 5
    assert processes_with(str(tmp_path)) == []


def test_a_model_that_prints_without_end_is_ended_on_request(tmp_path: Path) -> None:
    code = f"""
    def main(block):
        open({str(tmp_path / "ready")!r}, "w").close()
        while True: print("x" * 10000)
    """
    model = write_model(tmp_path / "model", code)
    with interrupted_when(tmp_path / "ready") as interrupt:
        assert model.run(tmp_path / "scratch", interrupt=interrupt).outcome.state == "interrupted"


def test_forks_daemons_and_threads_do_not_outlive_the_run(tmp_path: Path) -> None:
    code = """
    def main(block):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(1000)
        subprocess.Popen(["sleep", "86411"], start_new_session=True)
        subprocess.Popen(["sh", "-c", "env -i sleep 86411 & exit 0"]).wait()
        threading.Thread(target=time.sleep, args=(1000,)).start()
        return np.zeros(len(block))
    """
    run = write_model(tmp_path / "model", code).run(tmp_path / "scratch")
    assert run.outcome.state == "succeeded"
    assert processes_with(str(tmp_path)) == []
    assert processes_with("sleep\00086411") == []


def test_a_model_that_forks_and_crashes_leaves_nothing(tmp_path: Path) -> None:
    code = """
    def main(block):
        for _ in range(20):
            if os.fork() == 0:
                while True:
                    if os.fork() == 0: time.sleep(1000)
                    time.sleep(0.05)
        os.abort()
    """
    run = write_model(tmp_path / "model", code).run(tmp_path / "scratch")
    assert run.outcome.error == "node 'main', scenarios 0-39: the model crashed (SIGABRT)"
    assert processes_with(str(tmp_path)) == []


def test_the_limit_does_not_reach_the_parent(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    run = write_model(tmp_path / "model", "def main(block): return np.zeros(len(block))").run(
        tmp_path / "scratch", memory=512 << 20
    )
    assert run.outcome.state == "succeeded"
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_closed_and_replaced_streams_do_no_harm(tmp_path: Path) -> None:
    code = """
    def main(block):
        print("before", flush=True)
        sys.stdout.close()
        sys.stderr = object()
        os.close(1)
        return np.zeros(len(block))
    """
    run = write_model(tmp_path / "model", code, count=40).run(tmp_path / "scratch")
    assert run.outcome.state == "succeeded"
    assert run.text == "before\n"


def test_every_descriptor_closed_is_an_end_too(tmp_path: Path) -> None:
    code = """
    def main(block):
        os.closerange(0, 1000)
        return np.zeros(len(block))
    """
    run = write_model(tmp_path / "model", code).run(tmp_path / "scratch")
    assert run.outcome.state == "failed"
    assert "ended its own process" in (run.outcome.error or "")


def test_the_model_sees_nothing_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
    def main(block):
        print(sorted(os.environ), os.getcwd(), sys.flags.hash_randomization, os.environ["OPENBLAS_NUM_THREADS"])
        print(sorted(os.listdir("/proc/self/fd")))
        return np.zeros(len(block))
    """
    monkeypatch.setenv("LIVECALC_GRANTS", "file:///secret")
    monkeypatch.setenv("LIVECALC_POD_UID", "pod-1")
    run = write_model(tmp_path / "model", code, count=40).run(tmp_path / "scratch")
    assert "LIVECALC_GRANTS" not in run.text
    assert "LIVECALC_POD_UID" in run.text  # the local cluster looks for it
    assert f"{tmp_path / 'scratch'} 0 1" in run.text


def test_no_bytecode_is_written_into_the_bundle(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", "def main(block): return np.zeros(len(block))")
    model.run(tmp_path / "scratch")
    assert [path.name for path in model.folder.iterdir()] == ["model.py"]
