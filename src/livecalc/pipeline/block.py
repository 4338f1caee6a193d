"""The block that a node function is given: which scenarios it computes, and their random numbers.

Every number is a function of (seed, scenario, node, stream, position) alone: the generator is Philox4x64-10 (Salmon
et al., SC 2011) with key words [seed, scenario] and counter words [0, 0, 0, w], least significant word first, w being
the first 8 bytes, little-endian, of SHA-256(node id + NUL + stream). As in NumPy the counter is raised by one before
each four words are made. Only raw words are taken from NumPy, which does not promise its distributions (NEP 19).
"""

import hashlib

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray

from livecalc.pipeline.normal import inverse_normal

_BELOW_ONE = 1.0 - 2.0**-53


class Block:
    """Scenarios `first` to `stop` (exclusive) of a run, as one node sees them; `len()` is their number.

    `uniforms` and `normals` give the same numbers each time they are called with the same stream: use another
    `stream` for numbers that are independent. The first n of a longer row are the shorter row.
    """

    __slots__ = ("_node", "_seed", "first", "stop")

    def __init__(self, *, seed: int, node: str, first: int, stop: int) -> None:
        self._seed = seed
        self._node = node
        self.first = first
        self.stop = stop

    def __len__(self) -> int:
        return self.stop - self.first

    def __repr__(self) -> str:
        return f"Block(first={self.first}, stop={self.stop})"

    def uniforms(self, n: int, stream: str = "") -> NDArray[np.float64]:
        """Return numbers uniform on the open interval (0, 1), shape (scenarios, n): ((word >> 11) + 0.5) 2^-53.

        The largest word would round to 1 and gives 1 - 2^-53.
        """
        uniforms = ((self._words(n, stream) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        return np.minimum(uniforms, _BELOW_ONE, out=uniforms)

    def normals(self, n: int, stream: str = "") -> NDArray[np.float64]:
        """Return standard normal numbers, shape (scenarios, n): the quantiles of `uniforms` of the same stream."""
        return inverse_normal(self.uniforms(n, stream))

    def _words(self, n: int, stream: str) -> NDArray[np.uint64]:
        """Draw raw words; one generator is turned to each scenario, which is seven times as fast as making anew."""
        key = np.array([self._seed, 0], dtype=np.uint64)
        counter = np.array([0, 0, 0, stream_word(self._node, stream)], dtype=np.uint64)
        generator = Philox(key=key, counter=counter)
        start = generator.state
        words = np.empty((len(self), n), dtype=np.uint64)
        for row in range(len(self)):
            start["state"]["key"][1] = self.first + row
            generator.state = start
            words[row] = generator.random_raw(n)
        return words


def stream_word(node: str, stream: str) -> int:
    """Return the highest word of the counter: the streams of all nodes lie 2^192 apart."""
    return int.from_bytes(hashlib.sha256(f"{node}\0{stream}".encode()).digest()[:8], "little")
