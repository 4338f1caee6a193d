"""A result as it grows: a `.npy` file, its header written from the first block, each block appended."""

from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from livecalc.pipeline.npyheader import npy_header


class ResultFile:
    """Collects one result of one partition in constant memory. Raises OSError."""

    def __init__(self, path: Path, scenarios: int) -> None:
        self.path = path
        self._scenarios = scenarios
        self._file: IO[bytes] | None = None

    def append(self, block: NDArray[Any]) -> None:
        """Add a block in C order; blocks come in ascending order and are alike."""
        if self._file is None:
            self._file = self.path.open("wb")
            shape = (self._scenarios, *block.shape[1:])
            self._file.write(npy_header(block.dtype.str, shape))
        self._file.write(block.data)

    def close(self) -> None:
        """Write out what is buffered."""
        if self._file is not None:
            self._file.close()
