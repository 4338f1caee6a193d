"""Random numbers: a function of (seed, scenario, node, stream, position) and of nothing else."""

import hashlib

import numpy as np
import pytest
from numpy.random import Philox

from livecalc.pipeline.block import Block, stream_word

MASK = (1 << 64) - 1


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10, from its definition (Salmon, Moraes, Dror and Shaw, SC 2011)."""
    first, second = 0xD2E7470EE14C6C93, 0xCA5A826395121157
    k0, k1 = key
    for _ in range(10):
        low, high = first * counter[0], second * counter[2]
        counter = [(high >> 64) ^ counter[1] ^ k0, high & MASK, (low >> 64) ^ counter[3] ^ k1, low & MASK]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
    return counter


def test_the_definition_gives_the_published_answer() -> None:
    # kat_vectors of Random123: counter and key all zero.
    words = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert philox([0, 0, 0, 0], [0, 0]) == words
    assert Philox(key=np.zeros(2, np.uint64), counter=np.full(4, MASK, np.uint64)).random_raw(4).tolist() == words


def test_uniforms_follow_the_documented_words() -> None:
    block = Block(seed=2**63 + 5, node="esg", first=7, stop=9)
    w = int.from_bytes(hashlib.sha256(b"esg\0equity").digest()[:8], "little")
    expected = [
        [
            ((word >> 11) + 0.5) * 2.0**-53
            for counter in (1, 2)
            for word in philox([counter, 0, 0, w], [2**63 + 5, scenario])
        ]
        for scenario in (7, 8)
    ]
    assert block.uniforms(8, "equity").tolist() == expected


def test_golden_numbers() -> None:
    block = Block(seed=42, node="esg", first=0, stop=2)
    assert stream_word("esg", "") == 4293449074172706515
    assert block.uniforms(2).tolist() == [
        [0.5783365551778625, 0.19307602574231825],
        [0.15157081363038866, 0.5933404518983383],
    ]
    assert block.normals(2).tolist() == [
        [0.19763980438169235, -0.8666167160004089],
        [-1.029719652820604, 0.23614636609464656],
    ]


def test_a_scenario_has_its_numbers_in_every_block() -> None:
    whole = Block(seed=1, node="n", first=0, stop=96).normals(5)
    parts = [Block(seed=1, node="n", first=first, stop=first + 8).normals(5) for first in range(0, 96, 8)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_a_shorter_row_is_the_beginning_of_a_longer_one() -> None:
    block = Block(seed=1, node="n", first=0, stop=8)
    assert block.uniforms(3).tobytes() == np.ascontiguousarray(block.uniforms(11)[:, :3]).tobytes()


def test_shapes() -> None:
    block = Block(seed=1, node="n", first=40, stop=43)
    assert len(block) == 3
    assert (block.first, block.stop) == (40, 43)
    assert block.uniforms(4).shape == block.normals(4).shape == (3, 4)
    assert block.normals(0).shape == (3, 0)


@pytest.mark.parametrize(
    "other",
    [
        Block(seed=2, node="a", first=0, stop=1000),
        Block(seed=1, node="b", first=0, stop=1000),
        Block(seed=1, node="a", first=1, stop=1001),
    ],
)
def test_seed_node_and_scenario_give_independent_numbers(other: Block) -> None:
    numbers = Block(seed=1, node="a", first=0, stop=1000).normals(10)
    assert abs(np.corrcoef(numbers.ravel(), other.normals(10).ravel())[0, 1]) < 0.04


def test_streams_are_independent() -> None:
    block = Block(seed=1, node="a", first=0, stop=1000)
    assert abs(np.corrcoef(block.normals(10).ravel(), block.normals(10, "other").ravel())[0, 1]) < 0.04


def test_normals_have_the_moments_of_the_normal_distribution() -> None:
    numbers = Block(seed=3, node="a", first=0, stop=1000).normals(100)
    standard_error = numbers.size**-0.5
    assert abs(numbers.mean()) < 4 * standard_error
    assert abs(numbers.var() - 1) < 4 * 2**0.5 * standard_error
    assert abs((numbers**4).mean() - 3) < 4 * 96**0.5 * standard_error
