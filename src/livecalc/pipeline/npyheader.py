"""The header of a `.npy` file, version 1.0: always the same bytes for the same array, so that it need not be parsed.

Format: NumPy's `numpy.lib.format`. Light: no NumPy.
"""

_MAGIC = b"\x93NUMPY\x01\x00"
_ALIGNMENT = 64
_LENGTH_BYTES = 2


def npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return the header of an array in C order; its values follow at a multiple of 64 bytes."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode("ascii")
    used = len(_MAGIC) + _LENGTH_BYTES + len(text) + 1
    padded = text + b" " * (-used % _ALIGNMENT) + b"\n"
    return _MAGIC + len(padded).to_bytes(_LENGTH_BYTES, "little") + padded
