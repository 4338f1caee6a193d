"""The dtypes that an output may have: those whose bytes the result hash defines. Light: no NumPy."""

CANONICAL_NAN = {"<f4": 0x7FC00000, "<f8": 0x7FF8000000000000}
"""The bits that every NaN gets before it is published; its sign and payload differ from one CPU to another."""

DTYPES = frozenset(
    {"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", *CANONICAL_NAN},
)
"""NumPy's type strings, little-endian: booleans, integers, and floats of 4 and 8 bytes."""
