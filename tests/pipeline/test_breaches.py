"""Models that write beside their inputs or into them: found, with the place and the bytes."""

from pathlib import Path

import pytest
from support.models import NPV, RATES, node, reads_rates, write_model


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
    def wild(block):
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
