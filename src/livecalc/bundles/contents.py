"""What a bundle is, once packed or verified: its hash, its files, its configuration."""

from pathlib import Path

from msgspec import Struct

from livecalc.domain.modelconfig import Config


class BundleFile(Struct, frozen=True, kw_only=True):
    """One file of a bundle, as `manifest.json` lists it; the manifest itself is none of them."""

    path: str
    size: int
    sha256: str


class VerifiedBundle(Struct, frozen=True, kw_only=True):
    """An archive that holds to every rule."""

    path: Path
    """Of the archive."""
    model_bundle_hash: str
    """SHA-256 of the archive's bytes, hex."""
    size: int
    """Of the archive, bytes."""
    files: tuple[BundleFile, ...]
    """In order of their paths."""
    config: Config


class PackedBundle(VerifiedBundle, frozen=True, kw_only=True):
    """A bundle that was just made."""

    notes: tuple[str, ...] = ()
    """What its author should know, a sentence each: memory it will need, files nothing reads."""
