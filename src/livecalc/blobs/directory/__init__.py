"""Blobs as files that a person finds with the file manager: `{root}/{container}/{name}`.

Beside the containers lie folders whose names no container can have: `.meta` (a record beside each blob), `.tmp`
(what is being written), `.locks` and `.keys`. Linux, and a file system with hard links.
"""

from livecalc.blobs.directory.store import DirectoryStore

__all__ = ["DirectoryStore"]
