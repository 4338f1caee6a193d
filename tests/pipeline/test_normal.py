"""The inverse normal: accurate, and with the same bits whatever the CPU."""

import hashlib
import os
import subprocess
import sys
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from numpy.random import Philox

from livecalc.pipeline.block import Block
from livecalc.pipeline.normal import inverse_normal

GOLDEN = "ed0e4d94cab6055acd76badbd7b60a162aab5fbbf6e5c5fe28b8f6aada95b229"
PRINT_DIGEST = """
import hashlib
from livecalc.pipeline.block import Block
print(hashlib.sha256(Block(seed=42, node="esg", first=0, stop=1000).normals(80).tobytes()).hexdigest())
"""


@pytest.mark.parametrize(
    ("p", "quantile"),
    # The first three are the check values of Wichura (1988); 0.975 is in every table.
    [
        (0.25, -0.6744897501960817),
        (0.001, -3.090232306167814),
        (1e-20, -9.262340089798408),
        (0.975, 1.959963984540054),
        (0.5, 0.0),
    ],
)
def test_known_answers(p: float, quantile: float) -> None:
    assert inverse_normal(np.array([p]))[0] == pytest.approx(quantile, rel=1e-15, abs=0)


def test_agrees_with_the_standard_library_to_the_last_digits() -> None:
    words = Philox(key=1).random_raw(40_000)
    p = ((words[:20_000] >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    tails = 10.0 ** -(16 * ((words[20_000:] >> np.uint64(11)).astype(np.float64)) * 2.0**-53)
    p = np.concatenate([p, tails[tails < 1], 1 - tails[(tails > 1e-15) & (tails < 1)]])
    expected = np.array([NormalDist().inv_cdf(float(x)) for x in p])
    assert np.max(np.abs(inverse_normal(p) - expected) / np.abs(expected)) < 2e-15


def test_the_ends_of_the_uniforms_are_finite() -> None:
    ends = inverse_normal(np.array([2.0**-54, 1 - 2.0**-53]))
    assert np.isfinite(ends).all()
    assert ends[0] == pytest.approx(-8.29, abs=0.01)


def test_the_bits_are_the_golden_ones() -> None:
    numbers = Block(seed=42, node="esg", first=0, stop=1000).normals(80)
    assert hashlib.sha256(numbers.tobytes()).hexdigest() == GOLDEN


def test_other_cpu_features_give_the_same_bits() -> None:
    config: Any = np.show_config(mode="dicts")
    features = " ".join(config["SIMD Extensions"].get("found", []))
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": features}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == GOLDEN
