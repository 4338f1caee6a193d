"""Where a blob lies, and its record."""

from pathlib import Path

from msgspec import Struct

from livecalc.blobs.directory.tree import META
from livecalc.domain.errors import AlreadyExists, NotFound


class Address(Struct, frozen=True):
    """A checked container and name below a root."""

    root: Path
    container: str
    name: str

    @property
    def leaf(self) -> str:
        """The last segment."""
        return self.name.rpartition("/")[2]

    @property
    def folder(self) -> tuple[str, ...]:
        """The segments from the root to the folder of the blob."""
        return (self.container, *self.name.split("/")[:-1])

    @property
    def record_folder(self) -> tuple[str, ...]:
        """The segments from the root to the folder of its record."""
        return (META, *self.folder)

    def missing(self) -> NotFound:
        """Say that it is not there."""
        return NotFound(f"there is no blob {self.name!r} in {self.container}")

    def taken(self) -> AlreadyExists:
        """Say that it is there."""
        return AlreadyExists(f"blob {self.name!r} is already in {self.container}, and blobs are written once")
