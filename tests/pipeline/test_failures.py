"""Models that fail: each ends as a clear state, with one sentence that says where and why."""

from pathlib import Path

import pytest
from support.models import PRELUDE, write_model


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
