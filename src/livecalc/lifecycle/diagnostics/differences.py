"""Sentences about archives that do not hold, made from what was read of them. Pure."""

from collections.abc import Mapping

from livecalc.blobs.port import BlobInfo
from livecalc.domain.retention import Retention
from livecalc.domain.shelves import is_regulatory
from livecalc.domain.timestamps import format_timestamp
from livecalc.lifecycle.archive.folders import Folders
from livecalc.lifecycle.archive.manifest import Manifest
from livecalc.lifecycle.archive.places import MANIFEST, Place, earlier_paths, kept_until
from livecalc.lifecycle.diagnostics.testimony import Testimony


def why_gone(path: str, testimony: Testimony) -> str:
    """Of an archive that is not there any more: what the chain says of it."""
    made, broken = testimony.made[path].sequence, testimony.broken_at
    far = "" if broken is None else f", as far as the chain is good: before record {broken}"
    tried = f"; it was tried, {testimony.tried[path]}" if path in testimony.tried else ""
    return f"it is gone: audit record {made} says that it was made, and none that retention deleted it{far}{tried}"


def contradictions(place: Place, manifest: Manifest) -> list[str]:
    """What a manifest says that cannot be, wherever it came from."""
    found: list[str] = []
    said = f"{manifest.bucket_id}/{manifest.timestamp}"
    if said != place.path:
        found.append(f"{MANIFEST} is that of archive {said}")
    if (manifest.retention == Retention.REGULATORY) != is_regulatory(place.container):
        found.append(f"its retention is {manifest.retention}, and it lies in container {place.container}")
    entries = {entry.name: entry for entry in manifest.blobs}
    for log in manifest.containers:
        entry = entries.get(log.blob or "")
        if log.blob is not None and (entry is None or (entry.bytes, entry.sha256) != (log.bytes, log.sha256)):
            found.append(f"{MANIFEST} does not list {log.blob} as its pods say it")
    return found


def unlocked(place: Place, stored: Mapping[str, BlobInfo]) -> list[str]:
    """What the store would let somebody delete, or will too early, of a regulatory archive."""
    if not is_regulatory(place.container):
        return []
    promised = kept_until(place.path, Retention.REGULATORY)
    return [
        f"{name} is locked until {format_timestamp(info.locked_until)}, and not until {format_timestamp(promised)}"
        if info.locked_until is not None
        else f"{name} is not locked: whoever has the right can delete it before {format_timestamp(promised)}"
        for name, info in sorted(stored.items())
        if info.locked_until is None or info.locked_until < promised
    ]


def unknown(path: str, testimony: Testimony) -> str:
    """Of an archive whose reap is not in the chain: how that may be."""
    if testimony.broken_at is not None:
        return f"the audit chain is broken at record {testimony.broken_at}, so that it cannot prove which reap made it"
    if testimony.is_being_made(path):
        return (
            "the audit chain has the beginning of the reap that made it, and the record of its end is missing: "
            "verify it again when that reap has ended; when its namespace is gone, the end of the chain was cut off"
        )
    return "the audit chain has no reap that made it"


def lying_around(folders: Folders, testimony: Testimony) -> list[str]:
    """What lies in no archive; but for what a reap left that went on, or goes on, under another number."""
    left = {path for place in folders.archives for path in earlier_paths(place.path)}
    return [
        f"{stray.count} blobs in {stray.path or 'the container'} are of no archive, the first is {stray.first}"
        for stray in folders.strays
        if stray.path not in left and not testimony.is_being_made(stray.path)
    ]
