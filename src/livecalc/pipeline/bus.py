"""The bus: each value in a buffer of its own between two canaries, with a checksum; models get read-only views.

A read-only view stops honest mistakes. Canaries and checksums find what ctypes, C code and wild pointers do.
"""

import os
import zlib
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from livecalc.domain.errors import ModelFailed
from livecalc.domain.violations import Violation
from livecalc.pipeline.dtypes import CANONICAL_NAN

CANARY_BYTES = 16
_ALIGNMENT = 64


class Breach(Struct, frozen=True, kw_only=True):
    """What a check found: the violation as the pod states it, and a clause for people."""

    violation: Violation
    what: str
    """`wrote past the end of bus://scenarios/rates (320 bytes)`"""


class Bus:
    """The values that nodes exchange and the files they read, for as long as they are needed."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, str], _Buffer] = {}

    def publish(self, address: str, values: NDArray[Any]) -> NDArray[Any]:
        """Copy an output into a buffer, every NaN made canonical, and return a read-only view on it.

        A second copy is kept beside it, so that a check can tell what a changed byte was.
        """
        buffer = _Buffer(address, values, canonical=True)
        content = buffer.view.tobytes()
        buffer.original = lambda: content
        self._buffers[address, ""] = buffer
        return buffer.view

    def load(
        self, source: str, values: NDArray[Any], *, column: str = "", original: Callable[[], bytes]
    ) -> NDArray[Any]:
        """Copy a file's values, or one column of it, into a buffer and return a read-only view on it.

        `original` reads the file again and is called only when a byte was changed.
        """
        label = f"column {column!r} of {source}" if column else source
        if values.dtype.hasobject:
            raise ModelFailed(f"{label} holds Python objects, which cannot lie on the bus")
        buffer = _Buffer(label, values, canonical=False)
        buffer.original = original
        self._buffers[source, column] = buffer
        return buffer.view

    def view(self, source: str, column: str = "") -> NDArray[Any] | None:
        """Return the view of a value that is on the bus, or None."""
        buffer = self._buffers.get((source, column))
        return None if buffer is None else buffer.view

    def remove(self, sources: Collection[str]) -> None:
        """Forget values; views that a model kept stay valid, but are watched no more."""
        self._buffers = {key: buffer for key, buffer in self._buffers.items() if key[0] not in sources}

    def check(self, sources: Collection[str] | None = None) -> list[Breach]:
        """Compare the canaries of all buffers, and the checksums of those of `sources` (None: of all)."""
        breaches: list[Breach] = []
        for (source, _), buffer in self._buffers.items():
            breaches += buffer.check_canaries()
            if sources is None or source in sources:
                breaches += buffer.check_content()
        return breaches


def plain_bytes(values: NDArray[Any]) -> bytes:
    """Return values as they lie in a buffer: little-endian, C order."""
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


class _Buffer:
    """Memory as [gap, front canary, values, back canary]; the canaries touch the first and the last byte exactly."""

    original: Callable[[], bytes]

    def __init__(self, label: str, values: NDArray[Any], *, canonical: bool) -> None:
        self._label = label
        self._size = values.nbytes
        self._memory = _aligned(_ALIGNMENT + self._size + CANARY_BYTES)
        self._content = self._memory[_ALIGNMENT : _ALIGNMENT + self._size]
        dtype = values.dtype.newbyteorder("<")
        copy = self._content.view(dtype).reshape(values.shape)
        copy[...] = values
        if canonical:
            make_nan_canonical(copy)
        self._canaries = {
            -CANARY_BYTES: os.urandom(CANARY_BYTES),
            self._size: os.urandom(CANARY_BYTES),
        }
        for offset, canary in self._canaries.items():
            self._at(offset)[:] = np.frombuffer(canary, dtype=np.uint8)
        self._checksum = zlib.crc32(self._content.data)
        # Its ultimate base is a read-only memoryview, so that its WRITEABLE flag cannot be set again.
        frozen = np.frombuffer(self._content.data.toreadonly(), dtype=np.uint8, count=self._size)
        self.view = frozen.view(dtype).reshape(values.shape)

    def check_canaries(self) -> list[Breach]:
        breaches: list[Breach] = []
        for offset, canary in self._canaries.items():
            actual = self._at(offset).tobytes()
            if actual != canary:
                side = "before the beginning" if offset < 0 else "past the end"
                breaches.append(self._breach(f"wrote {side} of", offset, canary, actual))
        return breaches

    def check_content(self) -> list[Breach]:
        checksum = zlib.crc32(self._content.data)
        if checksum == self._checksum:
            return []
        try:
            original = np.frombuffer(self.original(), dtype=np.uint8)
            place = int(np.flatnonzero(original != self._content)[0])
        except (OSError, ValueError, IndexError, ModelFailed):
            # The file changed too: only the checksums are left to tell.
            expected, actual = (value.to_bytes(4, "big") for value in (self._checksum, checksum))
            return [self._breach("changed its read-only input", 0, expected, actual)]
        window = slice(place, place + CANARY_BYTES)
        expected, actual = (content[window].tobytes() for content in (original, self._content))
        return [self._breach("changed its read-only input", place, expected, actual)]

    def _at(self, offset: int) -> NDArray[np.uint8]:
        return self._memory[_ALIGNMENT + offset : _ALIGNMENT + offset + CANARY_BYTES]

    def _breach(self, what: str, offset: int, expected: bytes, actual: bytes) -> Breach:
        first = next((n for n, pair in enumerate(zip(expected, actual, strict=True)) if pair[0] != pair[1]), 0)
        violation = Violation(offset + first, expected.hex().upper(), actual.hex().upper())
        return Breach(violation=violation, what=f"{what} {self._label} ({self._size} bytes), at byte {offset + first}")


def make_nan_canonical(values: NDArray[Any]) -> None:
    """Give every NaN of a writable array of floats its canonical bits, in place."""
    bits = CANONICAL_NAN.get(values.dtype.str)
    if bits is not None and values.size:
        nan = np.isnan(values)
        if nan.any():
            values.view(f"<u{values.dtype.itemsize}")[nan] = bits


def _aligned(size: int) -> NDArray[np.uint8]:
    memory = np.empty(size + _ALIGNMENT, dtype=np.uint8)
    address: int = memory.__array_interface__["data"][0]
    return memory[-address % _ALIGNMENT :][:size]
