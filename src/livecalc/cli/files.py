"""Files that commands write: whole or not at all."""

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from livecalc.cli.format import size
from livecalc.cli.output import note


def save_stream(chunks: Iterable[bytes], target: Path | None) -> None:
    """Write a stream to a file, which appears when it is whole, or to standard output."""
    if target is None:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
        return
    note(f"Wrote {target} ({size(save_quietly(chunks, target))})")


def save_quietly(chunks: Iterable[bytes], target: Path) -> int:
    """Write a stream to a file, which appears when it is whole; returns its bytes."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            total = sum(file.write(chunk) for chunk in chunks)
        part.chmod(0o666 & ~_umask())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return total


def _umask() -> int:
    """The process's mask; reading it means setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
