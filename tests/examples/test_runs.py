"""The examples as users run them: packed, opened, and computed by the engine in a process of its own."""

from pathlib import Path

import numpy as np
import pytest

from livecalc.bundles.examples import find_example, list_examples
from livecalc.bundles.limits import Limits
from livecalc.bundles.open import open_bundle
from livecalc.bundles.pack import pack
from livecalc.bundles.scaffold import init
from livecalc.pipeline.run import run_partition


def compute(folder: Path, tmp_path: Path, first: int, stop: int) -> dict[str, bytes]:
    """Each result's bytes for some scenarios of a model's folder."""
    work = tmp_path / f"{first}-{stop}"
    work.mkdir()
    bundle = pack(folder, work / "bundle.zip").path
    config = open_bundle(bundle, work / "open", Limits())
    (work / "scratch").mkdir()
    outcome = run_partition(work / "open", config, first, stop, scratch=work / "scratch")
    assert outcome.error is None
    assert outcome.arrays.keys() == set(config.results)
    return {address: np.load(path).tobytes() for address, path in outcome.arrays.items()}


@pytest.mark.parametrize("name", list_examples())
def test_an_example_gives_the_same_bits_in_one_part_and_in_two(name: str, tmp_path: Path) -> None:
    folder = find_example(name)
    whole = compute(folder, tmp_path, 0, 80)
    parts = compute(folder, tmp_path, 0, 40), compute(folder, tmp_path, 40, 80)
    assert {address: parts[0][address] + parts[1][address] for address in whole} == whole
    assert all(len(values) == 80 * 8 for values in whole.values())


def test_a_new_model_runs_as_it_is(tmp_path: Path) -> None:
    assert compute(init("mine", tmp_path), tmp_path, 0, 8).keys() == {"bus://results/payout", "bus://results/shortfall"}
