"""Small models and hand-made archives for tests. Nothing here uses the code that packs or reads bundles."""

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "name": "small",
    "version": "1",
    "scenarios": {"count": 16, "block": 8, "seed": 7},
    "assumptions": [{"ref": "rates/flat:v1", "path": "assumptions/rates.csv"}],
    "pipeline": {
        "nodes": [
            {
                "id": "draw",
                "engine": "python://model.py:draw",
                "inputs": {"rates": "assumptions/rates.csv"},
                "outputs": {"numbers": "bus://inner/numbers"},
            },
            {
                "id": "total",
                "engine": "python://model.py:total",
                "inputs": {"numbers": "bus://inner/numbers"},
                "outputs": {"total": "bus://results/total"},
            },
        ]
    },
    "results": ["bus://results/total"],
}
CODE = b"""
def draw(block, /, *, rates):
    return block.normals(3) + rates["rate"][0]


def total(block, /, *, numbers):
    return numbers.sum(axis=1)
"""
FILES = {"model.py": CODE, "assumptions/rates.csv": b"rate\n0.03\n"}


def model_files(config: Any = CONFIG, extra: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """The files of a small model, without its manifest."""
    data = config if isinstance(config, bytes) else json.dumps(config).encode()
    return {"livecalc.config.json": data, **FILES, **(extra or {})}


def with_manifest(files: Mapping[str, bytes], listed: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """Add the manifest of these files, or of others."""
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in (files if listed is None else listed).items()}
    return {**files, "manifest.json": json.dumps(digests).encode()}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Lay files into a folder."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@dataclass(kw_only=True)
class Member:
    """One entry of an archive; every field that its headers hold can lie."""

    name: bytes
    data: bytes = b""
    deflate: bool = False
    method: int | None = None
    flags: int = 0x0800
    mode: int = 0o100644
    crc: int | None = None
    size: int | None = None
    compressed: int | None = None
    extra: bytes = b""
    own: dict[str, Any] = field(default_factory=dict[str, Any])
    """Values that the local header has in place of these: name, flags, method, crc, size, compressed, extra."""
    offset: int | None = None
    gap: bytes = b""
    """Bytes before its local header."""
    tail: bytes = b""
    """Bytes behind its data."""

    def body(self) -> bytes:
        if not self.deflate:
            return self.data
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        return squeeze.compress(self.data) + squeeze.flush()

    def fields(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "flags": self.flags,
            "method": self.method if self.method is not None else 8 * self.deflate,
            "crc": zlib.crc32(self.data) if self.crc is None else self.crc,
            "size": len(self.data) if self.size is None else self.size,
            "compressed": len(self.body()) if self.compressed is None else self.compressed,
            "extra": self.extra,
        }


def members(files: Mapping[str, bytes], **fields: Any) -> list[Member]:
    """Honest entries for files."""
    return [Member(name=path.encode(), data=data, **fields) for path, data in files.items()]


def archive(listed: list[Member], /, *, comment: bytes = b"", before: bytes = b"", **end: int) -> bytes:
    """Build an archive; `end` replaces values of its end record."""
    out, directory = before, b""
    for entry in listed:
        out += entry.gap
        offset = len(out) if entry.offset is None else entry.offset
        out += _local({**entry.fields(), **entry.own}) + entry.body() + entry.tail
        directory += _central(entry.fields(), entry.mode, offset)
    record = {
        "disk": 0,
        "directory_disk": 0,
        "disk_entries": len(listed),
        "entries": len(listed),
        "directory_size": len(directory),
        "directory_offset": len(out),
        **end,
    }
    return out + directory + struct.pack("<4s4H2LH", b"PK\5\6", *record.values(), len(comment)) + comment


def bundle(files: Mapping[str, bytes], **fields: Any) -> bytes:
    """An archive of files and their manifest."""
    return archive(members(with_manifest(files), **fields))


def _local(values: Mapping[str, Any]) -> bytes:
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, values["flags"], values["method"], 0, 0x21, *_sizes(values))
    return head + values["name"] + values["extra"]


def _central(values: Mapping[str, Any], mode: int, offset: int) -> bytes:
    lengths = _sizes(values)
    head = struct.pack("<4s6H3L2H", b"PK\1\2", 0x314, 20, values["flags"], values["method"], 0, 0x21, *lengths)
    return head + struct.pack("<3H2L", 0, 0, 0, mode << 16, offset) + values["name"] + values["extra"]


def _sizes(values: Mapping[str, Any]) -> tuple[int, ...]:
    return values["crc"], values["compressed"], values["size"], len(values["name"]), len(values["extra"])
