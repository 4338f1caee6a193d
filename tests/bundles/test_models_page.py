"""`docs/models.md` says what the code does: its example runs, its figures and limits are the code's."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.bundles import write_folder

from livecalc.bundles.limits import Limits
from livecalc.bundles.open import open_bundle
from livecalc.bundles.pack import pack
from livecalc.bundles.paths import MAX_PATH_BYTES
from livecalc.bundles.signatures import MAX_SOURCE, MAX_SOURCES
from livecalc.domain.modelconfig import DEFAULT_BLOCK
from livecalc.domain.modelrules import INPUT_TYPES, LANES, MAX_BLOCKS, MAX_NODES, MAX_SCENARIOS
from livecalc.domain.resulthash import OutputDigest, block_digest, output_digest, result_hash
from livecalc.pipeline.block import Block, stream_word
from livecalc.pipeline.run import run_partition
from livecalc.pipeline.summary import MAX_COLUMNS, QUANTILES, TAILS

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text()


def block_of(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return found


def test_the_example_packs_and_runs(tmp_path: Path) -> None:
    files = {
        "livecalc.config.json": block_of("json"),
        "model.py": block_of("python"),
        "assumptions/equity.csv": "drift,volatility\n0.0,0.0\n",
    }
    packed = pack(
        write_folder(tmp_path / "model", {path: text.encode() for path, text in files.items()}), tmp_path / "x"
    )
    assert packed.notes == ()
    config = open_bundle(packed.path, tmp_path / "open", Limits())
    (tmp_path / "scratch").mkdir()
    outcome = run_partition(tmp_path / "open", config, 0, 40, scratch=tmp_path / "scratch")
    assert outcome.error is None
    assert np.load(outcome.arrays["bus://results/value"]).tolist() == pytest.approx([100.0] * 40)


@pytest.mark.parametrize(
    "words",
    [
        f"1 to {MAX_SCENARIOS:,}",
        f"a multiple of {LANES}, {DEFAULT_BLOCK} unless you say otherwise; at most {MAX_BLOCKS:,} blocks",
        f"up to {MAX_NODES:,}",
        f"({', '.join(f'`{suffix}`' for suffix in INPUT_TYPES)})",
        f"longer than {MAX_PATH_BYTES} bytes",
        f"at most {MAX_SOURCE >> 10} KiB, all such files together {MAX_SOURCES >> 20} MiB",
        f"`BUNDLE_LIMIT_MIB` ({Limits().bytes >> 20})",
        f"`BUNDLE_LIMIT_FILES` ({Limits().files:,})",
        f"`BUNDLE_LIMIT_RATIO` ({Limits().ratio})",
        f"the first {MAX_COLUMNS}",
        f"quantile at p = {', '.join(QUANTILES)} %",
        f"CTE at p = {', '.join(TAILS)} %",
    ],
)
def test_names_the_limits_of_the_code(words: str) -> None:
    assert words in re.sub(r"\s+", " ", PAGE)


def test_gives_the_known_random_numbers() -> None:
    block = Block(seed=42, node="esg", first=0, stop=2)
    assert f"(w = {stream_word('esg', '')})" in PAGE
    for scenario in range(2):
        uniforms, normals = (
            ", ".join(map(repr, rows[scenario].tolist())) for rows in (block.uniforms(2), block.normals(2))
        )
        assert f"| {scenario} | {uniforms} | {normals} |" in PAGE


def test_gives_the_golden_hashes() -> None:
    a, b = np.array([1.0, -0.0, np.nan]), np.array([[1, 2], [3, 4], [5, 6]])
    outputs: dict[str, OutputDigest] = {}
    for name, values in (("bus://results/npv", a), ("bus://results/count", b)):
        digests = [block_digest(0, 2, values[:2].tobytes()), block_digest(2, 3, values[2:].tobytes())]
        outputs[name] = OutputDigest(dtype=values.dtype.str, shape=values.shape, block=2, digests=digests)
    npv, count = outputs["bus://results/npv"], outputs["bus://results/count"]
    golden = {
        "A, block 0 ": npv.digests[0].hex(),
        "A, output ": output_digest("bus://results/npv", npv).hex(),
        "B, output ": output_digest("bus://results/count", count).hex(),
        "result A ": result_hash({"bus://results/npv": npv}),
        "result A, B ": result_hash(outputs),
    }
    for what, digest in golden.items():
        assert re.search(rf"^    {what} *{digest}$", PAGE, re.MULTILINE), what
