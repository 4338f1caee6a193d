"""Hold an archive to every rule of a bundle, in constant memory, without writing a byte of it anywhere."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from livecalc.bundles.archive import CHUNK, Entry, read_entries, read_small, stream
from livecalc.bundles.contents import BundleFile, VerifiedBundle
from livecalc.bundles.limits import Limits
from livecalc.bundles.manifest import manifest_limit, parse_manifest
from livecalc.bundles.signatures import MAX_SOURCE, MAX_SOURCES, check_signature, read_definitions
from livecalc.domain.errors import InvalidInput, NotFound, TooLarge
from livecalc.domain.modelconfig import CONFIG_FILE, MANIFEST_FILE, Config, Engine, Node, parse_engine
from livecalc.domain.modelrules import MAX_CONFIG_BYTES, parse_config, resolve_files


def verify(path: Path, limits: Limits) -> VerifiedBundle:
    """Verify the bundle in a file.

    Raises InvalidInput (the reason and the path inside the bundle), TooLarge (over a limit), NotFound (no such file).
    """
    with open_archive(path) as file:
        return verify_file(file, path, limits)


def verify_file(file: BinaryIO, path: Path, limits: Limits) -> VerifiedBundle:
    """Verify the bundle in an open file, named `path` in the answer. Raises as `verify` does."""
    entries = read_entries(file, limits)
    digests = _read_manifest(file, entries, limits)
    files = tuple(_check_file(file, entries[path], digests[path]) for path in sorted(digests))
    config = read_config(file, entries)
    resolve_files(config, digests)
    _check_nodes(file, entries, config)
    digest, size = _digest(file)
    return VerifiedBundle(path=path, model_bundle_hash=digest, size=size, files=files, config=config)


def open_archive(path: Path) -> BinaryIO:
    """Open a file to be verified. Raises NotFound, InvalidInput."""
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"there is no bundle at {path}") from error
    except OSError as error:
        raise InvalidInput(f"bundle {path} cannot be read: {error.strerror}") from error


def read_config(file: BinaryIO, entries: Mapping[str, Entry]) -> Config:
    """Read the configuration of a bundle whose entries are known. Raises InvalidInput."""
    return parse_config(read_small(file, _member(entries, CONFIG_FILE), MAX_CONFIG_BYTES))


def _member(entries: Mapping[str, Entry], path: str) -> Entry:
    if path not in entries:
        raise InvalidInput(f"bundle refused: {path!r} is missing")
    return entries[path]


def _read_manifest(file: BinaryIO, entries: Mapping[str, Entry], limits: Limits) -> dict[str, str]:
    data = read_small(file, _member(entries, MANIFEST_FILE), manifest_limit(limits.files))
    return parse_manifest(data, entries.keys() - {MANIFEST_FILE})


def _check_file(file: BinaryIO, entry: Entry, expected: str) -> BundleFile:
    digest = hashlib.sha256()
    for chunk in stream(file, entry):
        digest.update(chunk)
    if digest.hexdigest() != expected:
        raise InvalidInput(f"bundle refused: the SHA-256 of {entry.path!r} is not the one in {MANIFEST_FILE}")
    return BundleFile(path=entry.path, size=entry.size, sha256=expected)


def _check_nodes(file: BinaryIO, entries: Mapping[str, Entry], config: Config) -> None:
    """Check each node's signature, reading each file of theirs once."""
    nodes: defaultdict[str, list[tuple[Engine, Node]]] = defaultdict(list)
    for node in config.pipeline.nodes:
        engine = parse_engine(node.engine)
        if engine.scheme == "wasm":
            raise InvalidInput(f"node {node.id!r} needs {node.engine}, and this version has no wasm engine yet")
        nodes[engine.path].append((engine, node))
    size = sum(entries[path].size for path in nodes)
    if size > MAX_SOURCES:
        raise TooLarge(f"bundle refused: its files with nodes have {size:,} bytes, over the limit of {MAX_SOURCES:,}")
    for path, used in nodes.items():
        definitions = read_definitions(read_small(file, entries[path], MAX_SOURCE), path)
        for engine, node in used:
            check_signature(definitions.get(engine.function), node.engine, node.inputs)


def _digest(file: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size
