"""Models that misbehave: each ends as a clear state with the reason, and nothing of it is left running."""

import resource
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.models import NPV, PRELUDE, RATES, node, reads_rates, write_model
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


@pytest.mark.parametrize(("offset", "place"), [("rates.nbytes", 1280), ("rates.nbytes + 15", 1295), ("-1", -1)])
def test_writing_beside_an_input_is_a_violation(tmp_path: Path, offset: str, place: int) -> None:
    code = f"""
    def main(block, *, rates):
        if block.first == 40:
            poke(rates, {offset})
        return rates.sum(axis=1)
    """
    run = write_model(tmp_path / "model", code, *reads_rates()).run(tmp_path / "scratch")
    assert run.outcome.state == "failed"
    (violation,) = run.outcome.violations
    assert violation.offset == place
    assert len(bytes.fromhex(violation.expected)) == 16
    assert violation.expected != violation.actual
    side = "past the end" if place > 0 else "before the beginning"
    assert run.outcome.error == f"node 'main', scenarios 40-79: wrote {side} of {RATES} (1280 bytes), at byte {place}"
    assert run.progress == [40]
    assert run.outcome.outputs == {}


def test_changing_an_input_is_a_violation_with_what_it_was(tmp_path: Path) -> None:
    code = """
    def main(block, *, rates):
        poke(rates, 9)
        return rates.sum(axis=1)
    """
    run = write_model(tmp_path / "model", code, *reads_rates()).run(tmp_path / "scratch")
    (violation,) = run.outcome.violations
    assert violation.offset == 9
    assert violation.expected == "0000000000F03F" + "0000000000000040" + "00"
    assert violation.actual == "FF00000000F03F" + "0000000000000040" + "00"
    assert run.outcome.error == (
        f"node 'main', scenarios 0-39: changed its read-only input {RATES} (1280 bytes), at byte 9"
    )


def test_changing_a_file_is_found_too(tmp_path: Path) -> None:
    code = """
    def main(block, *, policies):
        poke(policies["age"], 1)
        return np.zeros(len(block))
    """
    model = write_model(tmp_path / "model", code, node("main", inputs={"policies": "policies.csv"}, npv=NPV))
    (model.folder / "policies.csv").write_text("age,sex\n20,M\n40,F\n")
    run = model.run(tmp_path / "scratch")
    (violation,) = run.outcome.violations
    assert (violation.offset, violation.expected[:6], violation.actual[:6]) == (1, "000000", "FF0000")
    assert "column 'age' of policies.csv" in (run.outcome.error or "")


def test_a_node_that_writes_beside_what_it_does_not_read_is_found(tmp_path: Path) -> None:
    code = """
    import gc
    def wild(block):
        for array in gc.get_objects():
            pass
        poke(kept[-1], kept[-1].nbytes)
        return np.zeros(len(block))
    kept = []
    def reader(block, *, rates):
        kept.append(rates)
        return np.zeros(len(block))
    """
    nodes = [
        node("esg", rates=RATES),
        node("reader", inputs={"rates": RATES}, a="bus://a"),
        node("wild", npv=NPV),
    ]
    run = write_model(tmp_path / "model", code, *nodes).run(tmp_path / "scratch")
    assert [violation.offset for violation in run.outcome.violations] == [1280]
    assert (run.outcome.error or "").startswith("node 'wild', ")


def test_a_breach_is_told_even_when_the_node_raises(tmp_path: Path) -> None:
    code = """
    def main(block, *, rates):
        poke(rates, rates.nbytes)
        raise ValueError("distraction")
    """
    run = write_model(tmp_path / "model", code, *reads_rates()).run(tmp_path / "scratch")
    assert len(run.outcome.violations) == 1
    assert "distraction" in run.text


def test_writing_into_an_input_raises_in_the_model(tmp_path: Path) -> None:
    code = """
    def main(block, *, rates):
        rates[0] = 1
        return rates.sum(axis=1)
    """
    run = write_model(tmp_path / "model", code, *reads_rates()).run(tmp_path / "scratch")
    assert run.outcome.state == "failed"
    assert run.outcome.violations == []
    assert "read-only" in (run.outcome.error or "")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("raise ValueError('the curve is empty')", "ValueError: the curve is empty (model.py, line {line})"),
        ("raise KeyError('age')", "KeyError: 'age' (model.py, line {line})"),
        ("sys.exit(3)", "called sys.exit(3) (model.py, line {line})"),
        ("sys.exit()", "called sys.exit(None) (model.py, line {line})"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt (model.py, line {line})"),
        ("os._exit(0)", "the model ended its own process instead of returning (exit status 0)"),
        ("os._exit(10)", "the model ended its own process instead of returning (exit status 10)"),
        ("ctypes.string_at(0)", "the model crashed (SIGSEGV)"),
        ("os.abort()", "the model crashed (SIGABRT)"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "the model crashed (SIGTERM)"),
        ("os.killpg(0, signal.SIGBUS)", "the model crashed (SIGBUS)"),
    ],
)
def test_every_way_to_end_has_its_sentence(tmp_path: Path, statement: str, reason: str) -> None:
    code = f"""
    def main(block):
        if block.first == 40: print("last words")
        if block.first == 40: {statement}
        return np.zeros(len(block))
    """
    run = write_model(tmp_path / "model", code).run(tmp_path / "scratch")
    assert run.outcome.state == "failed"
    line = PRELUDE.count("\n") + 4
    assert run.outcome.error == f"node 'main', scenarios 40-79: {reason.format(line=line)}"
    assert "last words" in run.text


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


def test_the_traceback_begins_in_the_models_own_code(tmp_path: Path) -> None:
    code = """
    def inner():
        raise ValueError("deep")
    def main(block):
        inner()
    """
    run = write_model(tmp_path / "model", code).run(tmp_path / "scratch")
    assert run.text.count("File ") == 2
    assert run.text.index("in main") < run.text.index("in inner") < run.text.index("ValueError: deep")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def main(block:", "model.py cannot be imported: SyntaxError"),
        ("import nowhere", "model.py cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("sys.exit(1)", "model.py cannot be imported: called sys.exit(1) (model.py, line {line})"),
        ("other = 1", "model.py has no function 'main'"),
    ],
)
def test_a_model_that_does_not_load(tmp_path: Path, code: str, reason: str) -> None:
    run = write_model(tmp_path / "model", code).run(tmp_path / "scratch")
    assert run.outcome.state == "failed"
    assert (run.outcome.error or "").startswith(f"node 'main': {reason.format(line=PRELUDE.count(chr(10)) + 1)}")


def test_an_exception_that_cannot_be_printed(tmp_path: Path) -> None:
    code = """
    class Odd(Exception):
        def __str__(self): raise RuntimeError
    def main(block):
        raise Odd
    """
    run = write_model(tmp_path / "model", code).run(tmp_path / "scratch")
    assert (run.outcome.error or "").startswith("node 'main', scenarios 0-39: Odd (model.py")


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


@pytest.mark.parametrize(
    ("statement", "memory"),
    [("np.ones(100 * 2**30 // 8)", None), ("[bytes(2**20) for _ in range(1000)]", 256 << 20)],
)
def test_too_much_memory_is_a_sentence(tmp_path: Path, statement: str, memory: int | None) -> None:
    code = f"""
    def main(block):
        kept = {statement}
        return np.zeros(len(block))
    """
    run = write_model(tmp_path / "model", code).run(tmp_path / "scratch", memory=memory)
    assert run.outcome.state == "failed"
    limit = "0.25 GiB" if memory else "GiB"
    assert "node 'main', scenarios 0-39: needs more memory than its limit of" in (run.outcome.error or "")
    assert limit in (run.outcome.error or "")


def test_an_output_too_large_for_the_bus_is_a_sentence(tmp_path: Path) -> None:
    code = "def main(block): return np.broadcast_to(np.zeros(1), (len(block), 10**7))"
    run = write_model(tmp_path / "model", code).run(tmp_path / "scratch", memory=512 << 20)
    assert run.outcome.state == "failed"
    assert (run.outcome.error or "").startswith("the values on the bus need more memory than its limit of 0.5 GiB")


def test_a_reason_of_any_characters_is_kept(tmp_path: Path) -> None:
    code = """
    def main(block):
        raise ValueError("\\ud800 \\x00 € " + "x" * 10000)
    """
    error = write_model(tmp_path / "model", code).run(tmp_path / "scratch").outcome.error or ""
    assert error.startswith("node 'main', scenarios 0-39: ValueError: \\ud800 \x00 € xxx")
    assert len(error) < 1200


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
