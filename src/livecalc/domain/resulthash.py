"""The result hash: one SHA-256 over all outputs of a job, equal however many workers computed it.

The exact bytes are a public format (`docs/models.md`): integers little-endian, values little-endian in C order,
NaN made canonical before they come here.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

DIGEST_BYTES = 32


class OutputDigest(Struct, frozen=True, kw_only=True):
    """What the hash of one output covers: its dtype, whole shape, block size and block digests in order."""

    dtype: str
    """NumPy's type string, little-endian, e.g. `<f8`."""
    shape: tuple[int, ...]
    block: int
    digests: Sequence[bytes]


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def block_digest(first: int, stop: int, data: bytes | memoryview) -> bytes:
    """Digest one block, scenarios `first` to `stop` (exclusive), of one output."""
    digest = hashlib.sha256(b"\x00" + _u64(first) + _u64(stop))
    digest.update(data)
    return digest.digest()


def output_digest(name: str, output: OutputDigest) -> bytes:
    """Digest one output, named by its bus address, from its block digests in ascending order."""
    raw = name.encode()
    digest = hashlib.sha256(b"\x01" + _u32(len(raw)) + raw + output.dtype.encode("ascii"))
    digest.update(_u32(len(output.shape)) + b"".join(map(_u64, output.shape)) + _u64(output.block))
    digest.update(b"".join(output.digests))
    return digest.digest()


def result_hash(outputs: Mapping[str, OutputDigest]) -> str:
    """Hash all outputs, in byte order of their names; hex."""
    return combine(output_digest(name, outputs[name]) for name in sorted(outputs, key=str.encode))


def combine(digests: Iterable[bytes]) -> str:
    """Combine output digests that are already in order; hex."""
    ordered = list(digests)
    return hashlib.sha256(b"livecalc-result-1\n" + _u32(len(ordered)) + b"".join(ordered)).hexdigest()
