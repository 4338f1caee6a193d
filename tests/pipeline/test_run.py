"""Partitions computed by the real engine: what is published, and that the hash knows nothing of how they were cut."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from support.models import NPV, RATES, Model, node, reads_rates, write_model

from livecalc.domain.errors import Damaged
from livecalc.domain.partitions import PartitionRecord, join_outputs
from livecalc.domain.resulthash import block_digest, result_hash
from livecalc.pipeline.outcome import Outcome, make_record

STOCHASTIC = """
def main(block, *, rates):
    shocks = block.normals(4) + block.normals(4, "other") * block.uniforms(4)
    total = np.zeros(len(block))
    for year in range(4):
        total += rates[:, year] * np.exp(shocks[:, year])
    return total
"""


def record_of(model: Model, outcome: Outcome, first: int, stop: int) -> PartitionRecord:
    block = model.config.scenarios.block
    return make_record(outcome, job_id="j-000000000000", index=first, attempt=0, first=first, stop=stop, block=block)


def hash_of(model: Model, folder: Path, ranges: list[tuple[int, int]]) -> str:
    """The result hash of a model computed in these ranges, one engine each."""
    records: list[PartitionRecord] = []
    for first, stop in ranges:
        run = model.run(folder / f"{first}-{stop}", first, stop)
        assert run.outcome.error is None
        records.append(record_of(model, run.outcome, first, stop))
    outputs = join_outputs(records, model.config.scenarios.count)
    return result_hash({address: outputs[address] for address in model.config.results})


def test_the_hash_is_independent_of_partitions_and_their_order(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", STOCHASTIC, *reads_rates(), count=100, block=16)
    (tmp_path / "runs").mkdir()
    whole = hash_of(model, tmp_path / "runs", [(0, 100)])
    assert hash_of(model, tmp_path / "runs", [(0, 48), (48, 100)]) == whole
    assert hash_of(model, tmp_path / "runs", [(96, 100), (32, 96), (0, 16), (16, 32)]) == whole


def test_the_hash_depends_on_the_seed(tmp_path: Path) -> None:
    one = write_model(tmp_path / "model", STOCHASTIC, *reads_rates(), seed=1)
    two = Model(
        folder=one.folder,
        config=msgspec.structs.replace(one.config, scenarios=msgspec.structs.replace(one.config.scenarios, seed=2)),
    )
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    assert hash_of(one, tmp_path / "1", [(0, 80)]) != hash_of(two, tmp_path / "2", [(0, 80)])


def test_order_and_endianness_of_an_array_do_not_change_the_hash(tmp_path: Path) -> None:
    forms = {
        "plain": "x",
        "fortran": "np.asfortranarray(x)",
        "big": "x.astype('>f8')",
        "strided": "np.repeat(x, 2, axis=0)[::2]",
        "negated": "np.where(np.isnan(x), -x, x)",
        "payload": "np.where(np.isnan(x), np.array([0x7ff0000000000abc], 'u8').view('f8')[0], x)",
    }
    hashes: set[str] = set()
    for name, form in forms.items():
        code = f"""
        def main(block):
            x = np.arange(len(block) * 3, dtype="f8").reshape(-1, 3)
            x[1, 1], x[2, 2] = np.nan, -0.0
            return {form}
        """
        model = write_model(tmp_path / name, code, count=48, block=16)
        (tmp_path / f"run-{name}").mkdir()
        hashes.add(hash_of(model, tmp_path / f"run-{name}", [(0, 48)]))
    assert len(hashes) == 1


def test_golden_values_come_out_of_the_engine(tmp_path: Path) -> None:
    # The golden block size of 2 is none that a bundle may have; the engine does not mind.
    code = """
    def main(block):
        npv = np.array([1.0, -0.0, -np.nan])[block.first : block.stop]
        count = np.array([[1, 2], [3, 4], [5, 6]], dtype=">i8")[block.first : block.stop]
        return {"count": np.asfortranarray(count), "npv": npv}
    """
    count = "bus://results/count"
    model = write_model(
        tmp_path / "model", code, node("main", npv=NPV, count=count), count=3, block=2, results=(NPV, count)
    )
    (tmp_path / "runs").mkdir()
    golden = "ec5cfd88d201ac3ba93f57c5558c45f33668416d22dfefbc72bc3ed33accbb49"
    assert hash_of(model, tmp_path / "runs", [(0, 3)]) == golden


def test_every_bus_value_has_its_digests(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", STOCHASTIC, *reads_rates(), count=50, block=40)
    run = model.run(tmp_path / "scratch")
    rates = run.outcome.outputs[RATES]
    assert (rates.node, rates.dtype, rates.shape) == ("esg", "<f8", (50, 4))
    expected = [
        block_digest(first, stop, np.arange((stop - first) * 4, dtype="<f8").tobytes()).hex()
        for first, stop in ((0, 40), (40, 50))
    ]
    assert rates.digests == expected
    assert list(run.outcome.arrays) == [NPV]
    assert run.progress == [40, 50]


def test_the_result_file_is_a_plain_npy(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", STOCHASTIC, *reads_rates(), count=100, block=16)
    outcome = model.run(tmp_path / "scratch", 32, 100).outcome
    array = np.load(outcome.arrays[NPV])
    part = outcome.outputs[NPV]
    assert (array.shape, array.dtype.str) == ((68,), "<f8")
    assert part.digests[-1] == block_digest(96, 100, array[64:].tobytes()).hex()


def test_nodes_run_in_dependency_order_and_are_timed(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", STOCHASTIC, *reversed(reads_rates()))
    nodes = model.run(tmp_path / "scratch").outcome.nodes
    assert list(nodes) == ["esg", "main"]
    assert all(cost.engine == "python" and cost.wall_seconds > 0 for cost in nodes.values())


def test_the_environment_is_recorded(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", "def main(block): return np.zeros(len(block))")
    environment = model.run(tmp_path / "scratch", image="sha256:abc").outcome.environment
    assert environment["numpy"] == np.__version__
    assert environment["image"] == "sha256:abc"
    assert "pyarrow" not in environment
    assert environment["cpu_features"]


def test_other_cpu_features_are_another_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_model(tmp_path / "model", "def main(block): return np.zeros(len(block))")
    before = model.run(tmp_path / "one").outcome.environment
    config: Any = np.show_config(mode="dicts")
    simd = config["SIMD Extensions"]
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", " ".join(simd.get("found", [])))
    after = model.run(tmp_path / "two").outcome.environment
    assert before["cpu_features"] == sorted({*simd["baseline"], *simd.get("found", [])})
    assert after["cpu_features"] == sorted(simd["baseline"])
    assert {key for key in before if before[key] != after[key]} <= {"cpu", "cpu_features"}


def test_neighbours_are_imported_even_when_python_has_a_module_of_that_name(tmp_path: Path) -> None:
    model = write_model(
        tmp_path / "model",
        "import curves\ndef main(block): return np.full(len(block), curves.RATE)",
        node("main", npv=NPV),
        msgspec.structs.replace(node("flat", flat="bus://flat"), engine="python://lib/random.py:flat"),
    )
    (model.folder / "curves.py").write_text("RATE = 0.03")
    (model.folder / "lib").mkdir()
    (model.folder / "lib" / "random.py").write_text("import numpy\ndef flat(block): return numpy.ones(len(block))")
    run = model.run(tmp_path / "scratch")
    assert run.outcome.error is None
    assert np.load(run.outcome.arrays[NPV])[0] == 0.03


def test_a_wasm_node_is_refused_in_words(tmp_path: Path) -> None:
    model = write_model(
        tmp_path / "model", "", msgspec.structs.replace(node("main", npv=NPV), engine="wasm://main.wasm")
    )
    assert model.run(tmp_path / "scratch").outcome.error == (
        "node 'main': wasm://main.wasm needs the engine 'wasm', which this version does not have"
    )


def test_what_cannot_be_published_is_refused_with_node_and_scenarios(tmp_path: Path) -> None:
    code = "def main(block): return np.zeros(39 if block.first else 40)"
    run = write_model(tmp_path / "model", code).run(tmp_path / "scratch")
    assert run.outcome.state == "failed"
    assert run.outcome.error == (
        "node 'main', scenarios 40-79: returned output 'npv' with shape (39,): axis 0 must be the block's 40 scenarios"
    )
    assert run.progress == [40]


def test_an_output_is_a_copy(tmp_path: Path) -> None:
    code = """
    kept = np.zeros(40)
    def main(block):
        kept[:] = block.first
        return kept
    """
    outcome = write_model(tmp_path / "model", code).run(tmp_path / "scratch").outcome
    assert np.load(outcome.arrays[NPV]).tolist() == [0.0] * 40 + [40.0] * 40


def test_a_full_disk_is_not_the_models_fault(tmp_path: Path) -> None:
    code = """
    import resource
    def main(block):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        return np.zeros((len(block), 1000))
    """
    outcome = write_model(tmp_path / "model", code).run(tmp_path / "scratch").outcome
    assert outcome.state == "lost"
    assert "the engine could not go on" in (outcome.error or "")


def records(*ranges: tuple[int, int]) -> list[PartitionRecord]:
    """Partitions of one u1 output in blocks of 8, made by hand."""
    found: list[PartitionRecord] = []
    for first, stop in ranges:
        digests = [hashlib.sha256(bytes([start])).hexdigest() for start in range(first, stop, 8)]
        part = {"node": "main", "dtype": "|u1", "shape": [stop - first], "digests": digests}
        content = {
            "job_id": "j",
            "index": first,
            "first": first,
            "stop": stop,
            "block": 8,
            "attempt": 0,
            "state": "succeeded",
            "outputs": {NPV: part},
            "started_at": "",
            "finished_at": "",
        }
        found.append(msgspec.convert(content, PartitionRecord))
    return found


def change(record: PartitionRecord, **changes: Any) -> PartitionRecord:
    part = msgspec.structs.replace(record.outputs[NPV], **changes)
    return msgspec.structs.replace(record, outputs={NPV: part})


def test_partitions_are_joined_in_order() -> None:
    joined = join_outputs(reversed(records((0, 16), (16, 20))), 20)[NPV]
    assert (joined.shape, joined.block, len(joined.digests)) == ((20,), 8, 3)
    assert joined == join_outputs(records((0, 20)), 20)[NPV]


@pytest.mark.parametrize(
    "bad",
    [
        [],
        records((0, 16)),
        records((0, 16), (24, 32)),
        records((0, 16), (8, 32)),
        records((0, 32), (0, 32)),
        [records((0, 16))[0], msgspec.structs.replace(records((16, 32))[0], block=16)],
        [records((0, 16))[0], msgspec.structs.replace(records((16, 32))[0], outputs={})],
        [records((0, 16))[0], change(records((16, 32))[0], dtype="|i1")],
        [records((0, 16))[0], change(records((16, 32))[0], shape=(16, 2))],
        [records((0, 16))[0], change(records((16, 32))[0], shape=(15,))],
        [records((0, 16))[0], change(records((16, 32))[0], digests=["00" * 32])],
        [records((0, 16))[0], change(records((16, 32))[0], digests=["00" * 31, "00" * 32])],
        [records((0, 16))[0], change(records((16, 32))[0], digests=["x", "00" * 32])],
    ],
)
def test_partitions_that_do_not_fit_are_damage(bad: list[PartitionRecord]) -> None:
    with pytest.raises(Damaged):
        join_outputs(bad, 32)
