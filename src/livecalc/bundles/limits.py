"""How big a bundle may be; the settings BUNDLE_LIMIT_MIB, _FILES and _RATIO fill these in."""

from msgspec import Struct

MEBIBYTE = 1 << 20


class Limits(Struct, frozen=True, kw_only=True):
    """The limits that packing and verifying keep to."""

    bytes: int = 2048 * MEBIBYTE
    """Of the archive, and of all files in it together."""
    files: int = 10_000
    """`manifest.json` is not counted."""
    ratio: int = 100
    """A file's size over the bytes it takes in the archive; more is refused as a decompression bomb."""
