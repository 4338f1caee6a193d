"""Pack a model's folder: the same folder gives the same bytes, whoever packs it, where and when."""

import os
import secrets
from pathlib import Path

import msgspec

from livecalc.bundles.contents import PackedBundle
from livecalc.bundles.folder import list_files
from livecalc.bundles.limits import Limits
from livecalc.bundles.manifest import encode_manifest
from livecalc.bundles.notes import model_notes
from livecalc.bundles.verify import verify
from livecalc.bundles.writer import Source, describe, read_chunks, write_archive
from livecalc.domain.errors import InvalidInput, TooLarge, Unavailable
from livecalc.domain.modelconfig import CONFIG_FILE, MANIFEST_FILE, Config
from livecalc.domain.modelrules import MAX_CONFIG_BYTES, parse_config


def pack(
    folder: Path, target: Path | None = None, *, scenarios: int | None = None, limits: Limits | None = None
) -> PackedBundle:
    """Pack a folder into a bundle and verify it; the file appears whole or not at all.

    Without `target` it is `{name}-{version}.zip` in the working directory, or beside the folder when that is inside
    it; a folder as target takes that name too. `scenarios` replaces the count of the configuration. Raises
    InvalidInput, TooLarge and NotFound as `verify` does, and for what no bundle can hold; Unavailable (the target
    cannot be written).
    """
    limits = limits or Limits()
    paths = list_files(folder, limits)
    data, config = _read_config(folder, scenarios)
    sources = [describe(folder / path, path, data if path == CONFIG_FILE else None) for path in paths]
    if sum(source.size for source in sources) > limits.bytes:
        raise TooLarge(f"the files of {folder} together are over the limit of {limits.bytes:,} bytes")
    manifest = encode_manifest({source.path: source.sha256 for source in sources})
    sources.append(describe(folder / MANIFEST_FILE, MANIFEST_FILE, manifest))
    return _publish(folder, sources, _choose_target(folder, target, config), limits)


def _read_config(folder: Path, scenarios: int | None) -> tuple[bytes | None, Config]:
    """Read the configuration; its bytes are given only when they are not those on disk."""
    data = b""
    for chunk in read_chunks(folder / CONFIG_FILE, CONFIG_FILE):
        data += chunk
        if len(data) > MAX_CONFIG_BYTES:
            break
    config = parse_config(data)
    if scenarios is None or scenarios == config.scenarios.count:
        return None, config
    content = msgspec.json.decode(data)
    content["scenarios"]["count"] = scenarios
    data = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
    return data, parse_config(data)


def _choose_target(folder: Path, target: Path | None, config: Config) -> Path:
    name = f"{config.name}-{config.version}.zip"
    inside = folder.resolve()
    if target is None:
        here = Path.cwd()
        target = (inside.parent if here.is_relative_to(inside) else here) / name
    elif target.is_dir():
        target /= name
    resolved = target.resolve()
    if resolved.is_relative_to(inside):
        raise InvalidInput(f"{target} lies in the folder that is packed; choose a place outside {folder}")
    if resolved.is_file() and resolved.stat().st_size:
        with resolved.open("rb") as file:
            if file.read(2) != b"PK":
                raise InvalidInput(f"{target} exists and is no bundle; it is not replaced")
    return target


def _publish(folder: Path, sources: list[Source], target: Path, limits: Limits) -> PackedBundle:
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as out:
            write_archive(out, sorted(sources, key=lambda source: source.path))
            out.flush()
            os.fsync(out.fileno())
        bundle = verify(part, limits)
        notes = tuple(model_notes(folder, bundle))
        part.replace(target)
    except OSError as error:
        raise Unavailable(f"{target} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return PackedBundle(
        path=target,
        model_bundle_hash=bundle.model_bundle_hash,
        size=bundle.size,
        files=bundle.files,
        config=bundle.config,
        notes=notes,
    )
