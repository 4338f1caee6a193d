"""Files that commands write: whole or not at all."""

import os
import sys
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any

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
    with _appearing(target) as file:
        return sum(file.write(chunk) for chunk in chunks)


def save_arrow_file(chunks: Iterable[bytes], target: Path) -> None:
    """Write an Arrow IPC stream to a file in the Arrow IPC file format, which is what `.arrow` and `.feather` mean."""
    ipc: Any = import_module("pyarrow.ipc")  # it has no types, and is heavy
    with _appearing(target) as file, tempfile.TemporaryFile() as stream:
        for chunk in chunks:
            stream.write(chunk)
        stream.seek(0)
        reader = ipc.open_stream(stream)
        with ipc.new_file(file, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
        total = file.tell()
    note(f"Wrote {target} ({size(total)})")


@contextmanager
def _appearing(target: Path) -> Generator[IO[bytes]]:
    """A file that takes its name at the end, if all went well. Raises OSError, which names the target."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from None
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        part.chmod(0o666 & ~_umask())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's mask; reading it means setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
