"""From what a person calls a model (a folder, an example, a file, a hash) to a bundle."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from livecalc.cli.format import count, short, size
from livecalc.cli.output import note

if TYPE_CHECKING:
    from livecalc.bundles.contents import VerifiedBundle
    from livecalc.bundles.limits import Limits


@contextmanager
def submittable(model: str) -> Generator[str | Path]:
    """What the client takes for a model: a hash, or a bundle's file, for as long as the block lasts.

    Raises NotFound, InvalidInput (bundle refused).
    """
    from livecalc.client.models import hash_of

    digest = hash_of(model)
    if digest is not None:
        yield digest
        return
    with bundle_of(model) as bundle:
        yield bundle.path


@contextmanager
def bundle_of(model: str) -> "Generator[VerifiedBundle]":
    """Verify a bundle's file, or pack a folder or example for as long as the block lasts."""
    from livecalc.blobs.scratch import plain_scratch_folder
    from livecalc.bundles.examples import model_folder
    from livecalc.bundles.pack import pack
    from livecalc.bundles.verify import verify

    path = Path(model)
    if path.is_file():
        yield verify(path, limits())
        return
    folder = model_folder(model)
    with plain_scratch_folder() as scratch:
        packed = pack(folder, scratch / "model.zip", limits=limits())
        note(f"Packed  {describe(packed)}")
        for sentence in packed.notes:
            note(f"Note    {sentence}")
        yield packed


def describe(bundle: "VerifiedBundle") -> str:
    """A bundle in one line: `term-life v1: 5 files, 412 KiB, bundle 7c1e0b94d2aa`."""
    config = bundle.config
    files = count(len(bundle.files), "file")
    return f"{config.name} v{config.version}: {files}, {size(bundle.size)}, bundle {short(bundle.model_bundle_hash)}"


def limits() -> "Limits":
    """The limits on bundles that the settings give. Raises InvalidInput for a wrong setting."""
    from livecalc.bundles.limits import MEBIBYTE, Limits
    from livecalc.settings import load

    chosen = load().bundles
    return Limits(bytes=chosen.mib * MEBIBYTE, files=chosen.files, ratio=chosen.ratio)
