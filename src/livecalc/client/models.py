"""From what a person calls a model to what is sent: the file of a bundle, perhaps packed for it, or a hash."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from livecalc.domain.errors import InvalidInput, Unavailable

Pack = Callable[[Path, Path], object]
"""Packs a model, a folder or a packaged example's name, into a new file. Raises NotFound, InvalidInput."""
_FEWEST_DIGITS = 8


def hash_of(model: str | Path) -> str | None:
    """The hash, or its first digits, that a model is named by; None when it is a file or folder, or no hash."""
    text = str(model).lower()
    is_hash = len(text) >= _FEWEST_DIGITS and not set(text) - set("0123456789abcdef")
    return text if is_hash and not Path(model).exists() else None


def open_bundle(model: Path, pack: Pack | None) -> IO[bytes]:
    """Open a bundle's file, or pack a folder; what was packed has no name any more, so that no kill leaves it.

    Raises InvalidInput, Unavailable, and what `pack` raises.
    """
    if model.is_file():
        return model.open("rb")
    if pack is None:
        raise InvalidInput(f"{str(model)[:80]!r} is no bundle file and no hash, and this client packs no folders")
    with ExitStack() as stack:
        try:
            scratch = stack.enter_context(TemporaryDirectory[str](prefix="livecalc-pack-"))
        except OSError as error:
            raise Unavailable(f"{model} cannot be packed: {error.strerror}") from None
        target = Path(scratch, "bundle.zip")
        pack(model, target)
        return target.open("rb")
